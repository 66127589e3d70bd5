// Package keystore finds the private keys in the files that hold them in binary:
// Java's JKS and JCEKS, Bouncy Castle's BKS, PKCS #12, and keys in plain DER.
//
// It opens nothing: a key that is encrypted stays so and is told as it lies there.
// What it gives is PEM, which the rules for private keys know and judge; it knows
// nothing of them. All it reads is hostile: each length is checked against what is
// there. Start reading at Keys.
package keystore

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"unicode/utf16"
)

// ErrMalformed says that a file begins as a keystore and is none.
var ErrMalformed = errors.New("malformed keystore")

// maxKeys is how many keys of one file are told; stores have a few.
const maxKeys = 1000

// Key is one private or secret key.
type Key struct {
	// Alias is its name in the store, which may be empty.
	Alias string
	// PEM is the key as a PEM block: ENCRYPTED PRIVATE KEY or one in the clear.
	PEM []byte
}

// Is reports whether a file that begins with head is read by Keys.
func Is(head []byte) bool { return kindOf(head) != nil }

// Keys gives the keys in data. A store of certificates alone has none. What was
// found before a malformed place is given with the error.
func Keys(data []byte) ([]Key, error) {
	read := kindOf(data)
	if read == nil {
		return nil, ErrMalformed
	}
	s := &store{rest: data}
	err := read(s)
	return s.keys, err
}

func kindOf(head []byte) func(*store) error {
	if len(head) < 16 {
		return nil
	}
	switch binary.BigEndian.Uint32(head) {
	case 0xfeedfeed, 0xcececece:
		return (*store).jks
	case 1, 2:
		// A salt of 20 bytes follows, and the number of iterations.
		if len(head) >= 32 && binary.BigEndian.Uint32(head[4:]) == 20 && binary.BigEndian.Uint32(head[28:])-1 < 1<<20 {
			return (*store).bks
		}
	}
	if head[0] != 0x30 {
		return nil
	}
	at := 2
	if head[1]&0x80 != 0 {
		at += int(head[1] & 0x7f)
	}
	if at > 6 || at+5 > len(head) {
		return nil
	}
	switch body := head[at:]; {
	case bytes.HasPrefix(body, []byte{2, 1, 3, 0x30}):
		return (*store).pkcs12
	case bytes.HasPrefix(body, []byte{2, 1, 0, 0x30}): // PKCS #8
		return der("PRIVATE KEY")
	case bytes.HasPrefix(body, []byte{2, 1, 0, 2}): // PKCS #1
		return der("RSA PRIVATE KEY")
	case bytes.HasPrefix(body, []byte{2, 1, 1, 4}): // SEC 1
		return der("EC PRIVATE KEY")
	}
	return nil
}

// store is a file being read.
type store struct {
	rest []byte
	keys []Key
	bad  bool // something was longer than what is there
}

func (s *store) take(n uint64) []byte {
	if n > uint64(len(s.rest)) {
		s.bad, s.rest = true, nil
		return nil
	}
	b := s.rest[:n]
	s.rest = s.rest[n:]
	return b
}

func (s *store) u8() uint64 {
	if b := s.take(1); b != nil {
		return uint64(b[0])
	}
	return 0
}

func (s *store) u16() uint64 {
	if b := s.take(2); b != nil {
		return uint64(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (s *store) u32() uint64 {
	if b := s.take(4); b != nil {
		return uint64(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (s *store) utf() string   { return string(s.take(s.u16())) }
func (s *store) bytes() []byte { return s.take(s.u32()) }

func (s *store) err() error {
	if s.bad {
		return fmt.Errorf("%w: it ends before its entries do", ErrMalformed)
	}
	return nil
}

func (s *store) add(alias, kind string, der []byte) {
	if len(der) == 0 || len(s.keys) == maxKeys {
		return
	}
	s.keys = append(s.keys, Key{Alias: alias, PEM: pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})})
}

// jks reads what sun.security.provider.JavaKeyStore and com.sun.crypto.provider.
// JceKeyStore write.
func (s *store) jks() error {
	s.take(4)
	version, count := s.u32(), s.u32()
	if version != 1 && version != 2 {
		return fmt.Errorf("%w: JKS version %d", ErrMalformed, version)
	}
	cert := func() {
		if version == 2 {
			s.utf()
		}
		s.bytes()
	}
	for ; count > 0 && !s.bad; count-- {
		tag, alias := s.u32(), s.utf()
		s.take(8) // when it was made
		switch tag {
		case 1:
			s.add(alias, "ENCRYPTED PRIVATE KEY", s.bytes())
			for chain := s.u32(); chain > 0 && !s.bad; chain-- {
				cert()
			}
		case 2:
			cert()
		case 3:
			// A sealed secret key, as Java serialises objects: without a length.
			return fmt.Errorf("%w: what follows the sealed key is not read", ErrMalformed)
		default:
			return fmt.Errorf("%w: JKS entry of kind %d", ErrMalformed, tag)
		}
	}
	return s.err()
}

// bks reads what org.bouncycastle.jcajce.provider.keystore.bc.BcKeyStoreSpi writes.
func (s *store) bks() error {
	s.u32()
	s.bytes() // salt
	s.u32()   // iterations
	for !s.bad {
		tag := s.u8()
		if tag == 0 {
			break
		}
		alias := s.utf()
		s.take(8)
		for chain := s.u32(); chain > 0 && !s.bad; chain-- {
			s.utf()
			s.bytes()
		}
		switch tag {
		case 1: // certificate
			s.utf()
			s.bytes()
		case 2: // a key in the clear
			kind := s.u8()
			s.utf()
			s.utf()
			if key := s.bytes(); kind == 0 {
				s.add(alias, "PRIVATE KEY", key)
			}
		case 3:
			s.bytes()
		case 4: // sealed: PBE with the store's own parameters, which PEM has no name for
			s.add(alias, "ENCRYPTED PRIVATE KEY", s.bytes())
		default:
			return fmt.Errorf("%w: BKS entry of kind %d", ErrMalformed, tag)
		}
	}
	return s.err()
}

// der takes the whole file as one key.
func der(kind string) func(*store) error {
	return func(s *store) error {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(s.rest, &v)
		if err != nil || len(bytes.Trim(rest, "\r\n\x00")) > 0 {
			return fmt.Errorf("%w: not one DER value", ErrMalformed)
		}
		s.add("", kind, v.FullBytes)
		return nil
	}
}

// The object identifiers of PKCS #12 (RFC 7292) that lead to keys.
var (
	oidData         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidKeyBag       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedBag  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidSafeContents = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 6}
	oidFriendlyName = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
)

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"tag:0,explicit,optional"`
}

type safeBag struct {
	ID         asn1.ObjectIdentifier
	Value      asn1.RawValue `asn1:"tag:0,explicit"`
	Attributes []attribute   `asn1:"set,optional"`
}

type attribute struct {
	ID    asn1.ObjectIdentifier
	Value asn1.RawValue `asn1:"set"`
}

func (s *store) pkcs12() error {
	var pfx struct {
		Version  int
		AuthSafe contentInfo
		MacData  asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(s.rest, &pfx); err != nil {
		return fmt.Errorf("%w: PKCS #12: %v", ErrMalformed, err)
	}
	var contents []contentInfo
	if err := octets(pfx.AuthSafe, &contents); err != nil {
		return err
	}
	for _, c := range contents {
		if !c.Type.Equal(oidData) {
			continue // encrypted: certificates, as all common programs do it
		}
		var bags []asn1.RawValue
		if err := octets(c, &bags); err != nil {
			return err
		}
		if err := s.bags(bags, 0); err != nil {
			return err
		}
	}
	return nil
}

// octets unmarshals what lies in the octet string of a content.
func octets(c contentInfo, into any) error {
	if !c.Type.Equal(oidData) {
		return nil
	}
	var data []byte
	if _, err := asn1.Unmarshal(c.Content.Bytes, &data); err != nil {
		// Explicit tags of raw values leave the inner value or the outer one.
		if _, err = asn1.Unmarshal(c.Content.FullBytes, &data); err != nil {
			return fmt.Errorf("%w: PKCS #12: %v", ErrMalformed, err)
		}
	}
	if _, err := asn1.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: PKCS #12: %v", ErrMalformed, err)
	}
	return nil
}

func (s *store) bags(bags []asn1.RawValue, depth int) error {
	const maxDepth = 8 // safe contents in one another; programs write none
	for _, raw := range bags {
		var b safeBag
		if _, err := asn1.Unmarshal(raw.FullBytes, &b); err != nil {
			return fmt.Errorf("%w: PKCS #12 bag: %v", ErrMalformed, err)
		}
		value := b.Value.FullBytes
		if b.Value.Class == asn1.ClassContextSpecific {
			value = b.Value.Bytes
		}
		switch {
		case b.ID.Equal(oidKeyBag):
			s.add(b.name(), "PRIVATE KEY", value)
		case b.ID.Equal(oidShroudedBag):
			s.add(b.name(), "ENCRYPTED PRIVATE KEY", value)
		case b.ID.Equal(oidSafeContents) && depth < maxDepth:
			var inner []asn1.RawValue
			if _, err := asn1.Unmarshal(value, &inner); err != nil {
				return fmt.Errorf("%w: PKCS #12: %v", ErrMalformed, err)
			}
			if err := s.bags(inner, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// name is the friendly name, a BMPString.
func (b safeBag) name() string {
	for _, a := range b.Attributes {
		if !a.ID.Equal(oidFriendlyName) {
			continue
		}
		var v asn1.RawValue
		if _, err := asn1.Unmarshal(a.Value.Bytes, &v); err != nil {
			return ""
		}
		units := make([]uint16, len(v.Bytes)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(v.Bytes[2*i:])
		}
		return string(utf16.Decode(units))
	}
	return ""
}

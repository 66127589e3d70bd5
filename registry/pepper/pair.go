package pepper

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/quench-dev/quench/registry/match"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

// Errors of pairs.
var (
	// ErrPair: it was changed, or made for another registry or pepper.
	ErrPair = errors.New("the HMAC of the value cannot be used")
	// ErrHand: text that is no hand.
	ErrHand = errors.New("it is no fingerprint key")
)

// Pair is what the registry keeps of a value, made where the value lives, so that
// the value itself never travels.
type Pair struct {
	KeyID       string   `json:"key_id"`
	MAC         string   `json:"mac"`         // hex
	Fingerprint string   `json:"fingerprint"` // hex
	Hint        string   `json:"hint"`
	ShapeLen    int      `json:"shape_len"`
	ShapeExtra  string   `json:"shape_extra"`
	HardToFind  []string `json:"hard_to_find,omitempty"`
	// Older is the MAC under each older pepper in use, by key id: what is a token
	// under one of them must not become another.
	Older map[string]string `json:"older,omitempty"`
	// Seal proves that all of it was made with a Hand of this registry and not
	// changed since: a wrong MAC would never match anything, and say nothing.
	Seal string `json:"seal"`
}

// Hand is what of the active peppers is needed to make pairs: who has it can tell
// whether a guessed value is a token, and nothing else. It opens no registry.
type Hand struct{ keys []Key } // the primary first

// Hand is that of the ring.
func (r *Ring) Hand() Hand { return Hand{r.Keys} }

// handPrefix begins a hand as text.
const handPrefix = "quench-fingerprint-key-1:"

// handLen is the bytes of a key in a hand: its id, and three sub-keys.
const handLen = 4 + 32 + 16 + 32

// Encode is the hand as one line of text. It is a secret.
func (h Hand) Encode() secret.Secret {
	var b []byte
	for _, k := range h.keys {
		b = append(append(append(append(b, k.ID[:]...), k.MAC...), k.fp[:]...), k.pair...)
	}
	return secret.NewString(handPrefix + base64.RawURLEncoding.EncodeToString(b))
}

// DecodeHand reads what Encode made.
func DecodeHand(text []byte) (h Hand, err error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(string(text)), handPrefix)
	b, err := base64.RawURLEncoding.DecodeString(rest)
	if !ok || err != nil || len(b) == 0 || len(b)%handLen != 0 || len(b)/handLen > MaxActive {
		return Hand{}, fmt.Errorf("%w; quench registry fingerprint-key makes one", ErrHand)
	}
	for ; len(b) > 0; b = b[handLen:] {
		k := Key{ID: [4]byte(b[:4]), MAC: b[4:36], fp: [16]byte(b[36:52]), pair: b[52:handLen]}
		k.Fingerprint = match.NewKey(k.fp)
		h.keys = append(h.keys, k)
	}
	return h, nil
}

// Pair makes the pair of a value of a form; hard are the contexts in which a scan
// would not find it.
func (h Hand) Pair(v secret.Secret, shape scanner.Shape, hard []string) Pair {
	k := &h.keys[0]
	mac := v.MAC(k.MAC)
	var fp [8]byte
	binary.BigEndian.PutUint64(fp[:], match.Fingerprint(k.Fingerprint, v.Reveal()))
	p := Pair{KeyID: k.Name(), MAC: hex.EncodeToString(mac[:]), Fingerprint: hex.EncodeToString(fp[:]), Hint: v.Redacted(),
		ShapeLen: shape.Len, ShapeExtra: shape.Extra, HardToFind: hard}
	for i := range h.keys[1:] {
		mac := v.MAC(h.keys[i+1].MAC)
		if p.Older == nil {
			p.Older = map[string]string{}
		}
		p.Older[h.keys[i+1].Name()] = hex.EncodeToString(mac[:])
	}
	p.Seal = p.seal(k)
	return p
}

func (p Pair) seal(k *Key) string {
	p.Seal = ""
	if len(p.HardToFind) == 0 {
		p.HardToFind = nil
	}
	if len(p.Older) == 0 {
		p.Older = nil
	}
	b, err := json.Marshal(p)
	if err != nil {
		panic("pepper: a pair is always JSON: " + err.Error())
	}
	m := hmac.New(sha256.New, k.pair)
	m.Write(b)
	return hex.EncodeToString(m.Sum(nil)[:16])
}

// Under gives the MAC and fingerprint of p, if it was made with k and not changed.
func (p *Pair) Under(k *Key) (mac [32]byte, fp int64, err error) {
	if p.KeyID != k.Name() {
		return mac, 0, fmt.Errorf("%w: it was made under pepper %q, and tokens are stored under %s now; make it again with quench fingerprint", ErrPair, clip(p.KeyID), k.Name())
	}
	m, err1 := hex.DecodeString(p.MAC)
	f, err2 := hex.DecodeString(p.Fingerprint)
	if !hmac.Equal([]byte(p.Seal), []byte(p.seal(k))) || err1 != nil || err2 != nil || len(m) != 32 || len(f) != 8 {
		return mac, 0, fmt.Errorf("%w: it was changed since it was made, or made for another registry", ErrPair)
	}
	return [32]byte(m), int64(binary.BigEndian.Uint64(f)), nil
}

// UnderOlder gives the MAC under an older pepper, of a pair that Under took.
func (p *Pair) UnderOlder(k *Key) (mac [32]byte, err error) {
	m, err := hex.DecodeString(p.Older[k.Name()])
	if err != nil || len(m) != 32 {
		return mac, fmt.Errorf("%w: it cannot be compared with tokens under the older pepper %s; make it again with a new fingerprint key", ErrPair, k.Name())
	}
	return [32]byte(m), nil
}

// Shape is the form of the value.
func (p *Pair) Shape() scanner.Shape { return scanner.Shape{Len: p.ShapeLen, Extra: p.ShapeExtra} }

// ReadHand reads the hand in a file, which only its owner may read.
func ReadHand(path string) (Hand, error) {
	text, err := readFile(path)
	if err != nil {
		return Hand{}, fmt.Errorf("reading the fingerprint key %q: %w", path, err)
	}
	return DecodeHand(text)
}

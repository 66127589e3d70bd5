package shape

import "bytes"

// The checksum of BIP 173, by which six characters at the end prove all before them:
// age's keys have it.

const bech32Digits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// bech32Sum goes over the part before the last '1', spread out as the standard says,
// and the digits after it.
func bech32Sum(prefix, digits []byte) uint32 {
	sum := uint32(1)
	step := func(v byte) {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	for _, c := range prefix {
		step(c >> 5)
	}
	step(0)
	for _, c := range prefix {
		step(c & 31)
	}
	for _, d := range digits {
		step(d)
	}
	return sum
}

// bech32Parts takes a text apart, or says that it is none of that form.
func bech32Parts(s []byte) (prefix, digits []byte, ok bool) {
	s = bytes.ToLower(s)
	i := bytes.LastIndexByte(s, '1')
	if i < 1 {
		return nil, nil, false
	}
	for _, c := range s[i+1:] {
		d := bytes.IndexByte([]byte(bech32Digits), c)
		if d < 0 {
			return nil, nil, false
		}
		digits = append(digits, byte(d))
	}
	return s[:i], digits, true
}

// Bech32 gives the six characters that a text of that form ends with, in capitals.
func Bech32(body []byte) string {
	prefix, digits, ok := bech32Parts(body)
	if !ok {
		return ""
	}
	sum := bech32Sum(prefix, append(digits, 0, 0, 0, 0, 0, 0)) ^ 1
	var out []byte
	for i := 5; i >= 0; i-- {
		out = append(out, bech32Digits[sum>>(5*i)&31])
	}
	return string(bytes.ToUpper(out))
}

func bech32(s []byte) Result {
	prefix, digits, ok := bech32Parts(s)
	switch {
	case !ok || len(digits) < 6:
		return No("not of the alphabet")
	case bech32Sum(prefix, digits) != 1:
		return No("wrong checksum")
	}
	return Yes("right checksum")
}

package httpauth

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/quench-dev/quench/registry/bound"
)

// maxHops of X-Forwarded-For are followed; no network has so many proxies in a row.
const maxHops = 32

func (o *ClientOptions) check() error {
	if o.CountryHeader != "" && len(o.Proxies) == 0 {
		return errors.New("a country header needs the networks of the proxies that set it, or anybody could")
	}
	return nil
}

// From is the address that r comes from, and its country where a proxy tells it.
//
// The address is the peer's. If that is a proxy of ours, it is the rightmost one of
// X-Forwarded-For that is not: each proxy appends whom it was asked by, so all to
// the left of that is what a client wrote. What cannot be read is no address, which
// is in no network.
func (o *ClientOptions) From(r *http.Request) (address netip.Addr, country string) {
	address, ok := parseAddress(r.RemoteAddr)
	if !ok || !o.ours(address) {
		return address, ""
	}
	country = o.country(r)
	hops := 0
	for _, line := range slices.Backward(r.Header.Values("X-Forwarded-For")) {
		for line != "" {
			if hops++; hops > maxHops {
				return netip.Addr{}, country
			}
			i := strings.LastIndexByte(line, ',')
			last := line[i+1:]
			line = line[:max(i, 0)]
			if address, ok = parseAddress(strings.TrimSpace(last)); !ok || !o.ours(address) {
				return address, country
			}
		}
	}
	return address, country // all of them are proxies: one of them asks for itself
}

// country is what the proxy tells; what is no country is not told.
func (o *ClientOptions) country(r *http.Request) string {
	if o.CountryHeader == "" {
		return ""
	}
	told := r.Header.Values(o.CountryHeader)
	if len(told) != 1 {
		return ""
	}
	iso, err := bound.Country(strings.TrimSpace(told[0]))
	if err != nil {
		return "" // such as XX, for one not known
	}
	return iso
}

func (o *ClientOptions) ours(a netip.Addr) bool {
	return slices.ContainsFunc(o.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// parseAddress reads an address, with a port or without.
func parseAddress(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap().WithZone(""), true
}

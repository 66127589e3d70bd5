package bound

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Network reads a network, or the address of a single client. An IPv4 network
// written as IPv6 is the IPv4 one, as an address is in Within.
func Network(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%w: network %q is neither an address nor CIDR, such as 10.1.0.0/16 or 2001:db8::/32", ErrInvalid, Clip(s))
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%w: network %q has bits of a host; did you mean %s, or the one address %s?", ErrInvalid, s, p.Masked(), p.Addr())
	}
	return p, nil
}

// Within reports whether a is in one of the networks, as Network writes them. An
// unknown address is in none.
func Within(networks []string, a netip.Addr) (bool, error) {
	a = a.Unmap().WithZone("")
	for _, s := range networks {
		p, err := Network(s)
		if err != nil {
			return false, err
		}
		if p.Contains(a) {
			return true, nil
		}
	}
	return false, nil
}

// countries are the codes of ISO 3166-1 alpha-2, and XK, which it leaves to users
// and country databases give to Kosovo. A mistyped code is found when a token is
// issued, not when its owner is locked out.
const countries = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ " +
	"CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR " +
	"GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP " +
	"KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ " +
	"NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW " +
	"SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ " +
	"UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW"

// Country reads the two letters of a country, in either case.
func Country(s string) (string, error) {
	up := strings.ToUpper(s)
	if len(up) != 2 || strings.Contains(up, " ") || !strings.Contains(countries, up) {
		hint := ""
		if up == "UK" {
			hint = "; did you mean GB?"
		}
		return "", fmt.Errorf("%w: country %q is not one of ISO 3166-1, two letters such as DE or BR%s", ErrInvalid, Clip(s), hint)
	}
	return up, nil
}

// maxCountries bounds the countries of one token: there are fewer.
const maxCountries = 256

// Countries reads codes of countries, each once.
func Countries(in []string) ([]string, error) {
	if len(in) > maxCountries {
		return nil, fmt.Errorf("%w: %d countries; at most %d", ErrInvalid, len(in), maxCountries)
	}
	var out []string
	for _, s := range in {
		c, err := Country(s)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return slices.Compact(slices.Sorted(slices.Values(out))), nil
}

// Package use tells what a token is shown for: where from, by what, to do what.
//
// It bounds what a client says of itself, finds the country of an address, and
// tells uses in words for the audit log, one or many together. It knows no token
// and no database. Start reading at Use.
package use

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/quench-dev/quench/registry/bound"
)

// Countries is a database of addresses, such as registry/country reads. iso is the
// code of ISO 3166-1, of two capital letters.
type Countries interface {
	Lookup(a netip.Addr) (iso string, ok bool)
}

// Use is what a token is shown for.
type Use struct {
	// Scope is the one thing asked for, action:resource without wildcards;
	// empty asks only whether the token is alive.
	Scope string
	// Client says in words who showed it, such as an address.
	Client string
	// Address the token was shown from; the zero one is unknown, and in no network.
	Address netip.Addr
	// Country it was shown from, by ISO 3166-1, where the caller knows it from a
	// source it trusts; empty asks the country database about Address.
	Country string
	// Method and Endpoint are what it was shown for, such as GET and /v1/items, and
	// Agent what the client calls itself. They decide nothing, and feed the watch over uses.
	// What follows '?' in Endpoint is dropped: secrets stand there.
	Method, Endpoint, Agent string
}

const (
	// maxText bounds client and endpoint in bytes, as registry does all text.
	maxText = 1024
	// maxMethod and maxAgent bound what a client says of itself, in bytes: the longest
	// registered method has 17, and browsers' agents seldom 300.
	maxMethod, maxAgent = 32, 512
	// maxTold different values of one kind are told of uses together.
	maxTold = 8
)

// Settled is u with what the client chose bounded, and with its country: as it was
// given, or by where, which may be nil. Errors wrap bound.ErrInvalid.
func (u Use) Settled(where Countries) (Use, error) {
	if u.Scope != "" {
		if err := bound.CheckScope(u.Scope, true); err != nil {
			return Use{}, err
		}
	}
	u.Endpoint, _, _ = strings.Cut(u.Endpoint, "?")
	u.Client, u.Endpoint = cut(u.Client, maxText), cut(u.Endpoint, maxText)
	u.Method, u.Agent = cut(u.Method, maxMethod), cut(u.Agent, maxAgent)
	switch {
	case u.Country != "":
		c, err := bound.Country(u.Country)
		if err != nil {
			return Use{}, err
		}
		u.Country = c
	case where != nil && u.Address.IsValid():
		u.Country, _ = where.Lookup(u.Address.Unmap().WithZone(""))
	}
	return u, nil
}

// cut is s, or its first n bytes, as valid text.
func cut(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }

// told are what is told of a use, by name.
var told = map[string]func(u *Use) string{
	"scope":    func(u *Use) string { return u.Scope },
	"client":   func(u *Use) string { return u.Client },
	"country":  func(u *Use) string { return u.Country },
	"method":   func(u *Use) string { return u.Method },
	"endpoint": func(u *Use) string { return u.Endpoint },
	"agent":    func(u *Use) string { return u.Agent },
	"address": func(u *Use) string {
		if !u.Address.IsValid() {
			return ""
		}
		return u.Address.Unmap().String()
	},
}

// Details tells a use for the audit log: its fields that are not empty, by name.
func (u *Use) Details() map[string]string {
	details := map[string]string{}
	for name, of := range told {
		if value := of(u); value != "" {
			details[name] = value
		}
	}
	return details
}

// Summary tells many uses together: the different values of each field, in the order
// they came, and of those beyond a few only in how many uses they were. The zero one is
// of none; its size does not grow with what is added.
type Summary struct {
	fields map[string]*values
}

// values are those of one field.
type values struct {
	some []string
	more int // uses with others
}

// Add adds a use.
func (s *Summary) Add(u *Use) {
	if s.fields == nil {
		s.fields = map[string]*values{}
	}
	for name, of := range told {
		if v := of(u); v != "" {
			s.add(name, v, 1)
		}
	}
}

func (s *Summary) add(name, v string, uses int) {
	f := s.fields[name]
	if f == nil {
		f = &values{}
		s.fields[name] = f
	}
	switch {
	case slices.Contains(f.some, v):
	case len(f.some) == maxTold:
		f.more += uses
	default:
		f.some = append(f.some, v)
	}
}

// Join adds the uses of a later summary. A value that stood among the few there is
// counted as one use where there is no place for it here.
func (s *Summary) Join(later *Summary) {
	if s.fields == nil {
		s.fields = map[string]*values{}
	}
	for name, f := range later.fields {
		for _, v := range f.some {
			s.add(name, v, 1)
		}
		if f.more > 0 {
			s.fields[name].more += f.more
		}
	}
}

// Details tells the uses for the audit log, by name of the field.
func (s *Summary) Details() map[string]string {
	details := map[string]string{}
	for name, f := range s.fields {
		details[name] = strings.Join(f.some, ", ")
		if f.more > 0 {
			details[name] += ", and others in " + strconv.Itoa(f.more) + " uses"
		}
	}
	return details
}

// Together tells uses of one token for the audit log: how many they are, and their
// Summary.
func Together(uses []*Use) map[string]string {
	var s Summary
	for _, u := range uses {
		s.Add(u)
	}
	details := s.Details()
	details["uses"] = strconv.Itoa(len(uses))
	return details
}

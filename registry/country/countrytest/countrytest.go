// Package countrytest makes small country databases in MaxMind's format for tests:
// no real one is in this repository.
//
// It knows the format's writer and nothing of how a database is used. Start reading
// at Write.
package countrytest

import (
	"fmt"
	"net"
	"os"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// Place is what a network's entry says.
type Place struct {
	ISO      string
	Lat, Lon float64 // both zero: not in the entry
}

// Write makes a database of a kind, such as Test-Country, at path: places by
// network in CIDR notation.
func Write(path, kind string, places map[string]Place) error {
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, RecordSize: 24, IncludeReservedNetworks: true, BuildEpoch: 1_780_000_000})
	if err != nil {
		return fmt.Errorf("making a country database: %w", err)
	}
	for cidr, p := range places {
		_, network, err := net.ParseCIDR(cidr)
		if err != nil {
			return fmt.Errorf("making a country database: %w", err)
		}
		rec := mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(p.ISO)}}
		if p.Lat != 0 || p.Lon != 0 {
			rec["location"] = mmdbtype.Map{"latitude": mmdbtype.Float64(p.Lat), "longitude": mmdbtype.Float64(p.Lon)}
		}
		if err := w.Insert(network, rec); err != nil {
			return fmt.Errorf("making a country database: %w", err)
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("making a country database: %w", err)
	}
	if _, err := w.WriteTo(f); err != nil {
		f.Close()
		return fmt.Errorf("making a country database: %w", err)
	}
	return f.Close()
}

package api

import (
	"bytes"
	"testing"

	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

// FuzzSealed: what was not sealed by us for this slot does not open, and what was
// opens to the same answer.
func FuzzSealed(f *testing.F) {
	s, err := newSealer([]byte("an installation's secret of some length"))
	if err != nil {
		f.Fatal(err)
	}
	slot := masterdata.Once{Tenant: plant.NameID(plant.ID{}, "tenant"), Scope: "scope", Key: "key"}
	f.Add([]byte(nil), []byte(nil), uint16(0))
	f.Add(s.seal(slot, []byte(`{"id":"x"}`)), []byte(`{"id":"x"}`), uint16(3))
	f.Fuzz(func(t *testing.T, sealed, body []byte, bit uint16) {
		if _, err := s.open(masterdata.Once{Scope: "another", Key: slot.Key}, sealed); err == nil {
			t.Fatal("an answer opens for a slot that it was not sealed for")
		}
		own := s.seal(slot, body)
		got, err := s.open(slot, own)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%q came back as %q: %v", body, got, err)
		}
		own[int(bit/8)%len(own)] ^= 1 << (bit % 8)
		if _, err := s.open(slot, own); err == nil {
			t.Fatalf("bit %d turned, and the answer opens", bit)
		}
	})
}

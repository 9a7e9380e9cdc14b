package masterdata

import (
	"testing"

	"github.com/foodflow/foodflow/internal/testkit/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

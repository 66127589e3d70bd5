package bulk

import (
	"os"
	"testing"

	"github.com/quench-dev/quench/registry/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

package sources_test

import (
	"errors"
	"io"
	"testing"

	"github.com/quench-dev/quench/sources"
)

func readItem(t *testing.T, it sources.Item) (string, error) {
	rc, err := it.Open(t.Context())
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(rc)
	return string(data), errors.Join(err, rc.Close())
}

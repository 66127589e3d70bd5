//go:build !unix

package daemon

import "os"

var hangup os.Signal // there is none here

package mqttin

import "errors"

// errLength is a remaining length of more than four bytes.
var errLength = errors.New("malformed remaining length")

// connectPacket is the first byte of a CONNECT, disconnectPacket the type of a
// DISCONNECT.
const (
	connectPacket    = 0x10
	disconnectPacket = 0xE0
)

// frames follows the packets of a stream: enough of MQTT to know how long each
// will be before anyone makes room for it.
type frames struct {
	left  int  // bytes of the current packet's body that are still to come
	open  bool // in the middle of a header
	first byte // of the header
	size  int  // remaining length, as far as it is read
	shift uint
}

// between reports whether the stream stands between two packets.
func (f *frames) between() bool { return f.left == 0 && !f.open }

// next passes over b up to the end of a packet's body or of a header, whichever
// comes first. header is true when a header was completed: first and size are
// its own then.
func (f *frames) next(b []byte) (used int, header bool, err error) {
	if f.left > 0 {
		used = min(f.left, len(b))
		f.left -= used
		return used, false, nil
	}
	for used < len(b) {
		c := b[used]
		used++
		if !f.open {
			f.open, f.first, f.size, f.shift = true, c, 0, 0
			continue
		}
		f.size |= int(c&127) << f.shift
		if c&128 == 0 {
			f.open, f.left = false, f.size
			return used, true, nil
		}
		if f.shift += 7; f.shift > 21 {
			return used, false, errLength
		}
	}
	return used, false, nil
}

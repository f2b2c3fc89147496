package repo

import (
	"fmt"
	"strconv"
	"strings"
)

// Codec is how a frame is compressed.
type Codec uint8

// The codecs.
const (
	CodecNone Codec = 0
	CodecZstd Codec = 1
	CodecLZ4  Codec = 2
	// CodecDifferences is zstd of pages from which the one before was taken; of frames of pages only.
	CodecDifferences Codec = 3
)

// String gives the name that -Z knows the codec by, if it does.
func (c Codec) String() string {
	switch c {
	case CodecNone:
		return "none"
	case CodecZstd:
		return "zstd"
	case CodecLZ4:
		return "lz4"
	case CodecDifferences:
		return "zstd of differences"
	}
	return fmt.Sprintf("codec %d", uint8(c))
}

// Compression chooses codec and level: "zstd", "zstd:1" to "zstd:19", "lz4", "none".
type Compression struct {
	Codec Codec
	Level int // 0: the default, which is the fastest
}

// ParseCompression reads the -Z argument.
func ParseCompression(s string) (Compression, error) {
	name, level, hasLevel := strings.Cut(s, ":")
	var z Compression
	switch name {
	case "zstd":
		z.Codec = CodecZstd
	case "lz4":
		z.Codec = CodecLZ4
	case "none":
		z.Codec = CodecNone
	default:
		return z, fmt.Errorf("compression %q: want zstd, zstd:1 to zstd:19, lz4 or none", s)
	}
	if !hasLevel {
		return z, nil
	}
	n, err := strconv.Atoi(level)
	if z.Codec != CodecZstd || err != nil || n < 1 || n > 19 || level != strconv.Itoa(n) {
		return Compression{}, fmt.Errorf("compression %q: want zstd, zstd:1 to zstd:19, lz4 or none", s)
	}
	z.Level = n
	return z, nil
}

// String is the inverse of ParseCompression.
func (z Compression) String() string {
	if z.Level == 0 {
		return z.Codec.String()
	}
	return fmt.Sprintf("%s:%d", z.Codec, z.Level)
}

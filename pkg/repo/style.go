package repo

import (
	"slices"

	"github.com/klauspost/compress/zstd"
)

// style is one of the ways to compress pages.
type style uint8

const (
	// styleFast is the level that was asked for, or the fastest. Everything but pages is compressed so.
	styleFast style = iota
	// styleDense is the library's own default, unless a level was asked for: little slower,
	// and on some indexes it saves a third.
	styleDense
	// styleDifferences is the dense one of the differences between pages.
	styleDifferences
	styles
)

const (
	// styleSample is how many bytes out of the middle of a frame are compressed in each style to choose one.
	styleSample = 64 << 10
	// styleMin is the least of a frame that is worth choosing for.
	styleMin = 2 * styleSample
	// styleFrames is for how many frames a choice holds, unless their size tells of other content.
	styleFrames = 16
	// styleGain asks of a style that it saves an eighth of what the one before it takes.
	styleGain = 8
)

// chooser keeps to the style that served the frames before: content changes with the file, not
// with the frame.
type chooser struct {
	style style
	left  int // frames until it is chosen anew
	raw   int // bytes of the last frame, and
	small int // as it was compressed
}

// like says whether a frame was compressed about as well as the last one.
func (c *chooser) like(raw, small int) bool {
	now, then := float64(small)*float64(c.raw), float64(c.small)*float64(raw)
	return now <= 1.25*then && then <= 1.25*now
}

// appendPages compresses pages of so many bytes behind what dst holds, in slices, in the style that suits them.
func (c *compressor) appendPages(dst, raw []byte, slice, page int) ([]byte, Codec) {
	if c.codec != CodecZstd || len(raw) < styleMin || page%wordSize != 0 {
		return c.appendSlices(dst, raw, slice)
	}
	have := len(dst)
	chosen := c.chooser.left == 0
	if chosen {
		c.choose(raw, page)
	}
	dst = c.in(c.chooser.style, dst, raw, slice, page)
	if !chosen && !c.chooser.like(len(raw), len(dst)-have) {
		if was := c.chooser.style; c.choose(raw, page) != was {
			dst = c.in(c.chooser.style, dst[:have], raw, slice, page)
		}
	}
	small := len(dst) - have
	c.chooser.raw, c.chooser.small = len(raw), small
	c.chooser.left--
	switch {
	case small > most(raw):
		dst = append(dst[:have], raw...)
		return slices.Grow(dst, tagSize), CodecNone
	case c.chooser.style == styleDifferences:
		return slices.Grow(dst, tagSize), CodecDifferences
	}
	return slices.Grow(dst, tagSize), CodecZstd
}

// choose finds the style for frames like this one.
func (c *compressor) choose(raw []byte, page int) style {
	n := styleSample / page * page
	at := (len(raw) - n) / 2 / page * page
	best := 0
	for s := styleFast; s < styles; s++ {
		if s == styleDense && c.zstd[styleFast] == c.zstd[styleDense] {
			continue
		}
		c.trial = c.in(s, c.trial[:0], raw[at:at+n], n, page)
		if size := len(c.trial); s == styleFast || size <= best-best/styleGain {
			c.chooser.style, best = s, size
		}
	}
	c.chooser.left = styleFrames
	return c.chooser.style
}

// in compresses pages in a style.
func (c *compressor) in(s style, dst, raw []byte, slice, page int) []byte {
	for part := range slices.Chunk(raw, slice) {
		if s == styleDifferences {
			c.words = subtract(c.words, part, page)
			part = c.words
		}
		dst = c.zstd[min(s, styleDense)].EncodeAll(part, dst)
	}
	return dst
}

// encoders gives those of styleFast and styleDense, which are one if a level was asked for.
func encoders(level int) (all [2]*zstd.Encoder, err error) {
	if level > 0 {
		all[styleFast], err = newEncoder(zstd.EncoderLevelFromZstd(level))
		all[styleDense] = all[styleFast]
		return all, err
	}
	if all[styleFast], err = newEncoder(zstd.SpeedFastest); err != nil {
		return all, err
	}
	all[styleDense], err = newEncoder(zstd.SpeedDefault)
	return all, err
}

func newEncoder(level zstd.EncoderLevel) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(level),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithWindowSize(MaxFrame))
}

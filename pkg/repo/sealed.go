package repo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// A sealed document is indented JSON whose first key is "format" and whose last is "xxh64", the
// checksum of every byte before its digits. What stands around the digits is always
// the same, so that no byte can change unnoticed, white space included.
const (
	sealOpen  = "{\n  \"format\": "
	sealSum   = ",\n  \"xxh64\": \""
	sealClose = "\"\n}\n"
	sumDigits = 16
)

// maxSealed bounds a sealed document.
const maxSealed = 64 << 20

// seal gives the sealed document of v, a struct whose first key is "format".
func seal(v any) ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	b, ok := bytes.CutSuffix(buf.Bytes(), []byte("\n}\n"))
	if !ok || !bytes.HasPrefix(b, []byte(sealOpen)) {
		return nil, fmt.Errorf("%T does not begin with its format", v)
	}
	b = append(appendSum(append(b, sealSum...)), sealClose...)
	if len(b) > maxSealed {
		return nil, fmt.Errorf("document of %d bytes, more than %d", len(b), maxSealed)
	}
	return b, nil
}

// appendSum appends the checksum of b.
func appendSum(b []byte) []byte { return fmt.Appendf(b, "%0*x", sumDigits, xxhash.Sum64(b)) }

// unseal verifies a sealed document and decodes it into v, strictly.
func unseal(data []byte, v any) error { return unsealFormat(data, FormatVersion, v) }

// unknownField begins the error of encoding/json, which has no type, for a key that the value does not have.
const unknownField = "json: unknown field "

// unsealFormat is unseal for a document of another format.
func unsealFormat(data []byte, want int, v any) error {
	format, hasFormat := sealedFormat(data)
	body, intact := sealedBody(data)
	switch {
	case hasFormat && format > EncryptedFormat && intact:
		return fmt.Errorf("format %d: %w", format, ErrNewer)
	case hasFormat && format > EncryptedFormat:
		return fmt.Errorf("format %d: %w, or damaged: %w", format, ErrNewer, ErrCorrupt)
	case !intact:
		return fmt.Errorf("%w: checksum does not match", ErrCorrupt)
	case format != want:
		return fmt.Errorf("%w: format %d, want %d", ErrCorrupt, format, want)
	}
	d := json.NewDecoder(bytes.NewReader(append(bytes.Clone(body), "\n}"...)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		kind := ErrCorrupt
		if strings.HasPrefix(err.Error(), unknownField) { // with a right checksum: somebody has written it
			kind = ErrNewer
		}
		return fmt.Errorf("%w: %w", kind, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more than one document", ErrCorrupt)
	}
	return nil
}

// sealedBody gives the JSON without its closing brace, and whether the checksum is right.
func sealedBody(data []byte) (body []byte, intact bool) {
	rest, ok := bytes.CutSuffix(data, []byte(sealClose))
	if !ok || len(rest) < sumDigits {
		return nil, false
	}
	sealed, digits := rest[:len(rest)-sumDigits], rest[len(rest)-sumDigits:]
	body, ok = bytes.CutSuffix(sealed, []byte(sealSum))
	return body, ok && bytes.Equal(appendSum(sealed[:len(sealed):len(sealed)])[len(sealed):], digits)
}

// sealedFormat reads the version, which stands at the same place in every format.
func sealedFormat(data []byte) (format int, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(sealOpen))
	if !ok {
		return 0, false
	}
	n := 0
	for n < len(rest) && n < 9 && rest[n] >= '0' && rest[n] <= '9' {
		format = format*10 + int(rest[n]-'0')
		n++
	}
	return format, n > 0 && rest[0] != '0' && n < len(rest) && rest[n] == ','
}

// readObject gives the bytes of the small object called name.
func readObject(ctx context.Context, st Store, name string) ([]byte, error) {
	o, err := st.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	data, err := readWhole(o, name)
	return data, errors.Join(err, o.Close())
}

// readWhole reads a small object.
func readWhole(o ObjectReader, name string) ([]byte, error) {
	if o.Size() > maxSealed {
		return nil, fmt.Errorf("%s: %w: %d bytes, more than %d", name, ErrCorrupt, o.Size(), maxSealed)
	}
	b := make([]byte, o.Size())
	if n, err := o.ReadAt(b, 0); err != nil && (n < len(b) || !errors.Is(err, io.EOF)) {
		if isShort(err) {
			err = fmt.Errorf("%s: %w: cut off", name, ErrCorrupt)
		}
		return nil, err
	}
	return b, nil
}

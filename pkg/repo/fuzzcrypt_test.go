package repo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/keys"
)

// testVault has keys of its own.
func testVault(t testing.TB) *vault {
	t.Helper()
	_, public, err := keys.Generate()
	if err != nil {
		t.Fatal(err)
	}
	to, err := keys.ParseRecipient(public, keys.All)
	if err != nil {
		t.Fatal(err)
	}
	ring, _, err := keys.New("main", []keys.Recipient{to}, "")
	if err != nil {
		t.Fatal(err)
	}
	return &vault{ring: ring, systemID: 7}
}

// A key block is refused, or is exactly what marshal writes for what it says.
func FuzzKeyBlock(f *testing.F) {
	head := make([]byte, objectHeaderSize)
	f.Add((&keyBlock{Class: classMetadata}).marshal(head))
	f.Add((&keyBlock{Class: classData, Wrapped: make([]byte, keys.WrappedSize)}).marshal(head))
	v := testVault(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= keyBlockSize {
			b = bytes.Clone(b[:keyBlockSize])
			binary.BigEndian.PutUint64(b[offBlockSum:], blockSum(head, b))
		}
		if _, err := v.open(kindPack, "x", head, b); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		k, _, err := parseKeyBlock(head, b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(k.marshal(head), b) {
			t.Fatalf("%+v", k)
		}
	})
}

// Whatever follows the header of an encrypted object is refused or read to its end, in bounded memory; with checksums
// that fit, nothing but what was encrypted is given out.
func FuzzEncryptedObject(f *testing.F) {
	v := testVault(f)
	d, err := newDecompressor()
	if err != nil {
		f.Fatal(err)
	}
	h := objectHeader{Kind: kindWAL, Name: "wal", Encrypted: true, vault: v}
	start, bind, err := h.begin("wal")
	if err != nil {
		f.Fatal(err)
	}
	const text = "a frame that was encrypted"
	frame := func(h frameHeader, payload string, off int) []byte {
		h.Raw, h.Stored = uint32(len(payload)), uint32(len(payload))
		b, err := bind.seal(&h, append(make([]byte, frameHeaderSize), payload...), int64(off))
		if err != nil {
			f.Fatal(err)
		}
		h.Sum = xxhash.Sum64(b[frameHeaderSize:])
		h.put(b, bind.sum, int64(off))
		return b
	}
	first := frame(frameHeader{Kind: frameBytes}, text, len(start))
	e := end{Raw: uint64(len(text)), Sum: xxhash.Sum64String(text)}
	last := frame(frameHeader{Kind: frameEnd, Count: 1}, string(e.marshal()), len(start)+len(first))
	f.Add(append(bytes.Clone(first), last...))
	f.Add(last)
	f.Fuzz(func(t *testing.T, rest []byte) {
		data := append(bytes.Clone(start), rest...)
		for off := len(start); off+frameHeaderSize <= len(data); { // the checksums would keep the fuzzer out
			head := data[off:]
			n := min(int(binary.BigEndian.Uint32(head[offFrameStored:])), len(head)-frameHeaderSize)
			binary.BigEndian.PutUint64(head[offFrameSum:], xxhash.Sum64(head[frameHeaderSize:][:n]))
			binary.BigEndian.PutUint64(head[offFrameCheck:], frameCheck(head, bind.sum, int64(off)))
			off += frameHeaderSize + n
		}
		r, err := openEnvelope(t.Context(), bytesStore{data: data}, d, "wal", h)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		bounded(t, 8<<20+uint64(len(data))*2, func() { got, err = io.ReadAll(r) })
		if err == nil && string(got) != text || len(got) > 0 && string(got) != text {
			t.Fatalf("%q", got)
		}
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

// A document is refused, or is the one that was encrypted.
func FuzzSecretDocument(f *testing.F) {
	v := testVault(f)
	want := []byte("a document")
	data, err := v.conceal("x", want)
	if err != nil {
		f.Fatal(err)
	}
	body, _ := sealedBody(data)
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		sealed := append(appendSum(append(bytes.Clone(body), sealSum...)), sealClose...)
		got, err := v.reveal("x", sealed)
		if err == nil && !bytes.Equal(got, want) || err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

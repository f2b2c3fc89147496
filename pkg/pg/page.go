package pg

// Page is one block of a relation file, of Geometry.BlockSize bytes
// (storage/bufpage.h).
type Page []byte

// PageHeaderSize is the size of PageHeaderData without line pointers.
const PageHeaderSize = 24

// LSN gives pd_lsn: the end of the last WAL record that changed the page.
func (p Page) LSN() LSN { panic("stub") }

// IsNew says whether pd_upper is zero: the page was never initialised.
func (p Page) IsNew() bool { panic("stub") }

// AllVisible says whether PD_ALL_VISIBLE is set.
func (p Page) AllVisible() bool { panic("stub") }

// StoredChecksum gives pd_checksum.
func (p Page) StoredChecksum() uint16 { panic("stub") }

// IsZero says whether every byte is zero.
func (p Page) IsZero() bool { panic("stub") }

// Checksum computes the checksum of the page as block blkno of its fork
// (pg_checksum_page, storage/checksum_impl.h).
func (p Page) Checksum(blkno BlockNumber) uint16 { panic("stub") }

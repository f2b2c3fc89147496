package pg

import "fmt"

// MajorOfCatalog gives the major version whose releases have a catalog
// version (catalog/catversion.h); ok is false for development versions and unknown ones.
func MajorOfCatalog(catalogVersion uint32) (major int, ok bool) {
	switch catalogVersion {
	case 202007201:
		return 13, true
	case 202107181:
		return 14, true
	case 202209061:
		return 15, true
	case 202307071:
		return 16, true
	case 202406281:
		return 17, true
	case 202506291:
		return 18, true
	}
	return 0, false
}

// TablespaceVersionDir names the only directory of a tablespace that belongs
// to a server (TABLESPACE_VERSION_DIRECTORY, common/relpath.h).
func TablespaceVersionDir(major int, catalogVersion uint32) string {
	return fmt.Sprintf("PG_%d_%d", major, catalogVersion)
}

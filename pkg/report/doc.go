// Package report draws what a repository knows about one cluster on one HTML page that needs
// nothing else: no network, no script to be loaded, no font. It reads manifests, the indexes of
// the newest incremental backups, and names of archived WAL; never page contents.
//
// Memory: the manifests, and for each relation that changed 1 kB at the most.
//
// Reading order: data.go, what the page says; collect.go and activity.go, where that comes
// from; render.go, page.html and style.css, the page; chart.go and the charts.
package report

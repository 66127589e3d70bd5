// Package scanner finds secrets in bytes.
//
// Engine decides matches in a text; Stream feeds it text that comes in
// pieces; Run takes the items of a source through a pool of workers and emits
// two events for each secret: a Hit at once, for match and containment, and a
// Finding once attribution is known, for the report. The scanner knows rules
// and sources, asks the registry through the small interface Known, and never
// revokes, prints or stores anything. Start reading at Engine, then Run.
package scanner

// Package lifecycle starts and ends things in order: the components of one
// process (Group), the child processes of foodflow up (Process), and what a
// data directory needs so that only one of them uses it (LockDir, Ports).
package lifecycle

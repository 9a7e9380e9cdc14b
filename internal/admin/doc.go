// Package admin is the port for those who operate a process: metrics, health,
// profiles. It must not be reachable from outside the installation.
package admin

// Package tlsconf makes TLS of files: certificates of listeners, and what a
// client of a store trusts and shows. TLS 1.2 is the least everywhere, 1.3 what
// both sides of ours speak.
//
// # Renewal
//
// Files may be replaced while the process runs, as cert-manager and ACME clients
// do. A handshake that comes a second or more after the last look at the files
// looks again and takes the new ones: a listener's certificate, its list of
// authorities for clients, a client's own certificate. A pair that doesn't fit
// together (one file was written, the other not yet) is not taken; the old one
// stays until the pair is whole, and foodflow_tlsconf_reloads_total counts it.
// Connections that are open stay as they are.
//
// Limit: the authorities that a client checks its server against are read once;
// a new one needs a restart.
package tlsconf

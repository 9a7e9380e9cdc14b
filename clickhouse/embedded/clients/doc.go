// Package clients holds the engine's interface to what ClickHouse's official
// JavaScript, Python and Java clients make of it: each runs its checks in its
// own language, on the real engine, in a database of its own. The clients are
// installed into the cache folder at pinned versions, once.
//
// What differs from a server and is therefore not checked: queryID() in a
// statement (the engine makes up its own), and the tables that hold users and
// roles (the engine has no user management).
package clients

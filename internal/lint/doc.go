// Package lint holds the rules of this repository that no general linter knows,
// as functions over a tree of files; its test runs them over the repository.
//
// The rules: which package imports which (Imports), the top-level folders
// (Folders), a doc.go with a package comment in each package (Docs), the length
// of files and functions (Lengths), no init and no package variable beyond
// errors, regexps and embeds (Variables), wording of errors (Errors), names and
// labels of metrics (Metrics), and nothing of one machine or one network, and no
// open task, in any tracked file (Texts).
//
// Each rule has a negative control: a small tree that breaks it in each of its
// ways, where the rule must find exactly those faults. A rule that passes
// because it looks at nothing would be found out by that.
//
// # Limits
//
// Go files are parsed, not type-checked: a metric whose name is put together at
// run time, or a library reached through an alias of another package, is not
// seen.
package lint

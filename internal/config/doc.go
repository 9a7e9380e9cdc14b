// Package config gives the flags of the command line values from below it:
//
//	default < file < FOODFLOW_* variable < flag
//
// The flag structs are the only place where a setting is named, described and
// given a default; the names of variables and of keys in the file, the reference
// page, `config print` and the check for unknown names follow from them.
//
// # Names
//
// The flag --kafka-brokers is the variable FOODFLOW_KAFKA_BROKERS and in the
// file (YAML) the key kafka.brokers. A key at the top holds for every command
// that has the setting; below the name of a command it holds for that command
// alone and wins. A name that no command knows is an error that suggests the
// nearest one, in the file and among the variables: a setting that is misspelt
// must not silently have its default.
//
// # Secrets
//
// A flag with the tag secret:"" can also be given as a file: FOODFLOW_X_FILE,
// or the key with _file behind it, names the file whose content, without the
// line's end, is the value. The value and its file in one layer are an error,
// since nobody can tell which was meant. Values of secrets, and passwords in
// addresses, are in no output and no error of this package.
package config

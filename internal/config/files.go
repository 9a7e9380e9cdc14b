package config

import "strings"

// File is a file that the configuration names.
type File struct {
	Key  string
	Path string
	// Private files hold a secret, the others certificates.
	Private bool
}

// Files lists the files with secrets and certificates that the values name, each
// once.
func Files(values []Value) []File {
	var out []File
	seen := map[string]bool{}
	add := func(key, path string, private bool) {
		if path != "" && !seen[path] {
			seen[path] = true
			out = append(out, File{key, path, private})
		}
	}
	for _, v := range values {
		if v.file != "" {
			add(v.Key, v.file, true)
		}
		path, ok := v.Value.(string)
		if !ok {
			continue
		}
		switch {
		case strings.HasSuffix(v.Key, "tls.key"):
			add(v.Key, path, true)
		case strings.HasSuffix(v.Key, "tls.cert"), strings.HasSuffix(v.Key, "tls.ca"), strings.HasSuffix(v.Key, "tls.client_ca"):
			add(v.Key, path, false)
		}
	}
	return out
}

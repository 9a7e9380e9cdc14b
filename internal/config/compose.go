package config

import (
	"fmt"
	"maps"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// Compose gives a configuration file that says what the file base says ("": says
// nothing), but for the settings in over, by key. A secret that base has in a
// file of its own gives way too.
func Compose(base string, over map[string]any) ([]byte, error) {
	said := koanf.New(".")
	if base != "" {
		if err := said.Load(file.Provider(base), yaml.Parser()); err != nil {
			return nil, fmt.Errorf("reading the configuration %s: %w", base, err)
		}
	}
	gone := map[string]bool{}
	for key := range over {
		// A key can be parted by dots and underscores in more ways than one.
		gone[flagOf(key)], gone[flagOf(key+fileSuffix)] = true, true
	}
	all := map[string]any{}
	for _, key := range said.Keys() {
		if !gone[flagOf(key)] {
			all[key] = said.Get(key)
		}
	}
	maps.Copy(all, over)
	out := koanf.New(".")
	for key, v := range all {
		if err := out.Set(key, v); err != nil {
			return nil, fmt.Errorf("composing the configuration: %s: %w", key, err)
		}
	}
	b, err := out.Marshal(yaml.Parser())
	if err != nil {
		return nil, fmt.Errorf("composing the configuration: %w", err)
	}
	return b, nil
}

// Package tenancy is the long work on tenants, as kinds of jobs: making one.
//
// Each step finds what an earlier, interrupted attempt has done.
package tenancy

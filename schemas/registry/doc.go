// Package registry is the client of a Confluent-compatible schema registry.
//
// Promises:
//   - What the registry ever told this client is kept on disk, so that with the
//     registry down every schema that was met before is still known, across
//     restarts too. A schema under an id never changes, so a remembered one is
//     never asked for again.
//   - Register enters a schema under the subject's own compatibility level; a
//     subject that does not exist yet gets BACKWARD_TRANSITIVE before its first
//     schema.
//   - "There is no such schema" (schemas.ErrUnknownSchema) and "the registry
//     can't be asked" (schemas.ErrRegistry) are never confused: the first is
//     final for a record, the second passes.
//
// Limits: an answer is at most 4 MiB, a schema 1 MiB, the cache 4,096 schemas;
// past that a schema is asked for each time.
//
// Failure behaviour: a request is tried Attempts times with growing pauses, at
// most the context's time. After a request that did not get through, Register
// answers from the cache for a few seconds without asking, so that a start with
// the registry down is not slowed by each subject. A cache file that is
// damaged or of another format is set aside and filled anew. A registry that
// gives a remembered schema another id is another registry: what was learnt
// from the old one is forgotten at once.
//
// Non-obvious: one cache file belongs to one process. Two that share it don't
// damage it (it is replaced in one step), but the last writer's knowledge stays.
package registry

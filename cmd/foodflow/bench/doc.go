// Package bench measures what FoodFlow promises about speed and size. Each
// figure stands beside a bare loop that does the same work without the
// promises, in the same run, on the same engines: the ratio holds across
// machines, the absolute figure doesn't.
package bench

package stream

import (
	"math"
	"slices"
	"sort"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Balancer gives whole slots to members: partition p of every topic goes to one
// member, members differ by at most one slot, and a member keeps the slots it
// has as far as that allows. It is cooperative: only slots that move stop.
//
// Kafka's range assignor keeps partitions together too but stops every member
// at each rebalance; the cooperative-sticky one moves each topic on its own.
func Balancer() kgo.GroupBalancer { return slotBalancer{} }

type slotBalancer struct{}

// ProtocolName names the protocol among the members of a group.
func (slotBalancer) ProtocolName() string { return "foodflow-slots" }

// IsCooperative says that members keep consuming what they keep.
func (slotBalancer) IsCooperative() bool { return true }

// JoinGroupMetadata tells the leader what the member holds.
func (slotBalancer) JoinGroupMetadata(topics []string, current map[string][]int32, generation int32) []byte {
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version = 3
	meta.Topics = slices.Sorted(slices.Values(topics))
	meta.Generation = generation
	for topic, partitions := range current {
		owned := kmsg.NewConsumerMemberMetadataOwnedPartition()
		owned.Topic = topic
		owned.Partitions = slices.Sorted(slices.Values(partitions))
		meta.OwnedPartitions = append(meta.OwnedPartitions, owned)
	}
	sort.Slice(meta.OwnedPartitions, func(i, j int) bool {
		return meta.OwnedPartitions[i].Topic < meta.OwnedPartitions[j].Topic
	})
	return meta.AppendTo(nil)
}

// ParseSyncAssignment reads what the leader decided.
func (slotBalancer) ParseSyncAssignment(b []byte) (map[string][]int32, error) {
	return kgo.ParseConsumerSyncAssignment(b)
}

// MemberBalancer prepares the leader's plan.
func (b slotBalancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	cb, err := kgo.NewConsumerBalancer(b, members)
	return cb, cb.MemberTopics(), err
}

// Balance makes the plan.
func (slotBalancer) Balance(b *kgo.ConsumerBalancer, topics map[string]int32) kgo.IntoSyncAssignment {
	var members []holder
	b.EachMember(func(m *kmsg.JoinGroupResponseMember, meta *kmsg.ConsumerMemberMetadata) {
		h := holder{id: m.MemberID, generation: meta.Generation, index: len(members)}
		for _, o := range meta.OwnedPartitions {
			h.owned = append(h.owned, o.Partitions...)
		}
		members = append(members, h)
	})
	// While the partitions of one topic are raised and those of the others not yet,
	// what lies past the smallest waits: a slot has all inputs or none.
	slots := int32(math.MaxInt32)
	for _, n := range topics {
		slots = min(slots, n)
	}
	if len(topics) == 0 {
		slots = 0
	}
	plan := b.NewPlan()
	for i, mine := range assign(members, slots) {
		member, _ := b.MemberAt(i)
		for topic := range topics {
			for _, p := range mine {
				plan.AddPartition(member, topic, p)
			}
		}
	}
	plan.AdjustCooperative(b)
	return plan
}

// holder is a member and the slots it says it holds.
type holder struct {
	id         string
	generation int32
	owned      []int32
	index      int
}

// assign gives each slot to one member: result[i] are the slots of the member
// with index i. A slot claimed twice stays with the younger generation's claim.
func assign(members []holder, slots int32) [][]int32 {
	out := make([][]int32, len(members))
	if len(members) == 0 {
		return out
	}
	order := slices.Clone(members)
	sort.Slice(order, func(i, j int) bool {
		if order[i].generation != order[j].generation {
			return order[i].generation > order[j].generation
		}
		return order[i].id < order[j].id
	})
	least := int(slots) / len(order)
	extra := int(slots) % len(order) // so many members hold one more
	taken := make([]bool, slots)
	for _, m := range order {
		owned := slices.Compact(slices.Sorted(slices.Values(m.owned)))
		for _, p := range owned {
			if p < 0 || p >= slots || taken[p] {
				continue
			}
			if n := len(out[m.index]); n >= least {
				if n > least || extra == 0 {
					break
				}
				extra--
			}
			taken[p] = true
			out[m.index] = append(out[m.index], p)
		}
	}
	for p := range slots {
		if !taken[p] {
			i := order[neediest(order, out)].index
			out[i] = append(out[i], p)
		}
	}
	return out
}

// neediest finds the first member in order that holds the fewest slots.
func neediest(order []holder, out [][]int32) int {
	best := 0
	for i := range order {
		if len(out[order[i].index]) < len(out[order[best].index]) {
			best = i
		}
	}
	return best
}

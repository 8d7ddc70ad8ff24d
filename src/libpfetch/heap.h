/* heap.h - a priority queue that cannot fail.
 *
 * SPDX-License-Identifier: MIT
 *
 * A pairing heap (Fredman, Sedgewick, Sleator, Tarjan, 1986): nodes are
 * embedded in what is queued, so that putting something in never allocates
 * and a retry can never be lost for want of memory.  insert O(1), the other
 * operations O(log n) amortised.  Not thread-safe: the owner's lock guards it.
 */
#ifndef PF_HEAP_H
#define PF_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pf_heap_node {
    int64_t key;
    struct pf_heap_node *child;   /* first of its children */
    struct pf_heap_node *sibling; /* next child of the same parent */
    struct pf_heap_node *prev;    /* parent of a first child, else the sibling
                                   * before; NULL: the root */
};

struct pf_heap {
    struct pf_heap_node *root; /* smallest key; NULL: empty */
};

static inline bool pf_heap_is_empty(const struct pf_heap *heap)
{
    return heap->root == NULL;
}

/* The node with the smallest key, left in the heap; NULL if empty. */
static inline struct pf_heap_node *pf_heap_min(const struct pf_heap *heap)
{
    return heap->root;
}

void pf_heap_insert(struct pf_heap *heap, struct pf_heap_node *node,
                    int64_t key);

/* Takes out a node that is in this heap. */
void pf_heap_remove(struct pf_heap *heap, struct pf_heap_node *node);

/* Takes out the smallest; NULL if empty. */
struct pf_heap_node *pf_heap_pop(struct pf_heap *heap);

#endif

/* heap.c - see heap.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "heap.h"

/* Joins two trees (roots without siblings) into one. */
static struct pf_heap_node *meld(struct pf_heap_node *a,
                                 struct pf_heap_node *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (b->key < a->key) {
        struct pf_heap_node *t = a;

        a = b;
        b = t;
    }
    b->prev = a;
    b->sibling = a->child;
    if (a->child != NULL)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* Joins a list of siblings into one tree: pairs from the left, then all pairs
 * from the right.  Both passes are loops: a list may be a million long. */
static struct pf_heap_node *meld_siblings(struct pf_heap_node *first)
{
    struct pf_heap_node *pairs = NULL, *root = NULL;

    while (first != NULL) {
        struct pf_heap_node *a = first, *b = a->sibling;

        first = b == NULL ? NULL : b->sibling;
        a->sibling = a->prev = NULL;
        if (b != NULL)
            b->sibling = b->prev = NULL;
        a = meld(a, b);
        a->sibling = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct pf_heap_node *next = pairs->sibling;

        pairs->sibling = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

void pf_heap_insert(struct pf_heap *heap, struct pf_heap_node *node,
                    int64_t key)
{
    node->key = key;
    node->child = node->sibling = node->prev = NULL;
    heap->root = meld(heap->root, node);
}

void pf_heap_remove(struct pf_heap *heap, struct pf_heap_node *node)
{
    struct pf_heap_node *rest = meld_siblings(node->child);

    if (node == heap->root) {
        heap->root = rest;
    } else {
        if (node->prev->child == node)
            node->prev->child = node->sibling;
        else
            node->prev->sibling = node->sibling;
        if (node->sibling != NULL)
            node->sibling->prev = node->prev;
        heap->root = meld(heap->root, rest);
    }
    node->child = node->sibling = node->prev = NULL;
}

struct pf_heap_node *pf_heap_pop(struct pf_heap *heap)
{
    struct pf_heap_node *node = heap->root;

    if (node != NULL)
        pf_heap_remove(heap, node);
    return node;
}

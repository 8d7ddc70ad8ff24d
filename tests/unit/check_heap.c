/* check_heap.c - tests of heap.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "heap.h"
#include "retry.h" /* pf_random */

#include "unit.h"

static struct pf_heap_node *nodes_of(size_t n)
{
    struct pf_heap_node *nodes = calloc(n, sizeof(*nodes));

    ck_assert_ptr_nonnull(nodes);
    return nodes;
}

START_TEST(an_empty_heap_has_no_minimum)
{
    struct pf_heap heap = { NULL };

    ck_assert(pf_heap_is_empty(&heap));
    ck_assert_ptr_null(pf_heap_min(&heap));
    ck_assert_ptr_null(pf_heap_pop(&heap));
}
END_TEST

/* Pops everything: ascending, and exactly n. */
static void drain(struct pf_heap *heap, size_t n)
{
    int64_t last = INT64_MIN;
    struct pf_heap_node *node;

    while ((node = pf_heap_min(heap)) != NULL) {
        ck_assert_ptr_eq(pf_heap_pop(heap), node);
        ck_assert(node->key >= last);
        last = node->key;
        ck_assert_uint_gt(n, 0);
        n--;
    }
    ck_assert_uint_eq(n, 0);
    ck_assert(pf_heap_is_empty(heap));
}

START_TEST(keys_come_out_in_order)
{
    enum { N = 1000 };
    struct pf_heap_node *nodes = nodes_of(N);
    struct pf_heap heap = { NULL };
    uint64_t random = 1;

    for (size_t i = 0; i < N; i++)
        pf_heap_insert(&heap, &nodes[i], (int64_t)pf_random(&random));
    drain(&heap, N);
    free(nodes);
}
END_TEST

START_TEST(extreme_and_equal_keys_are_kept)
{
    static const int64_t keys[] = { 0, INT64_MAX, INT64_MIN, -1, 1, INT64_MAX,
                                    0, INT64_MIN, 7, 7, 7 };
    enum { N = sizeof(keys) / sizeof(keys[0]) };
    struct pf_heap_node *nodes = nodes_of(N);
    struct pf_heap heap = { NULL };

    for (size_t i = 0; i < N; i++)
        pf_heap_insert(&heap, &nodes[i], keys[i]);
    ck_assert(pf_heap_min(&heap)->key == INT64_MIN);
    drain(&heap, N);
    free(nodes);
}
END_TEST

/* Children of one parent, hundred thousands of them: no recursion may follow
 * that list, and taking all out again must not take quadratic time. */
START_TEST(a_long_list_of_children_is_no_recursion)
{
    enum { N = 300000 };
    struct pf_heap_node *nodes = nodes_of(N);
    struct pf_heap heap = { NULL };

    for (size_t i = 0; i < N; i++)
        pf_heap_insert(&heap, &nodes[i], (int64_t)i);
    drain(&heap, N);
    for (size_t i = 0; i < N; i++)
        pf_heap_insert(&heap, &nodes[i], -(int64_t)i);
    drain(&heap, N);
    free(nodes);
}
END_TEST

/* A thousand operations on a few nodes, beside an array that says what should
 * be in the heap: inserts, pops, and removals of any node. */
START_TEST(any_operations_agree_with_a_model)
{
    enum { N = 24, STEPS = 4000 };
    struct pf_heap_node *nodes = nodes_of(N);
    bool inside[N] = { false };
    struct pf_heap heap = { NULL };
    uint64_t random = (uint64_t)_i + 1;

    for (int step = 0; step < STEPS; step++) {
        size_t i = (size_t)(pf_random(&random) >> 33) % N;
        struct pf_heap_node *least = NULL;

        if (!inside[i]) {
            pf_heap_insert(&heap, &nodes[i],
                           (int64_t)(pf_random(&random) >> 60));
            inside[i] = true;
        } else if (pf_random(&random) >> 63) {
            pf_heap_remove(&heap, &nodes[i]);
            inside[i] = false;
        } else {
            inside[pf_heap_pop(&heap) - nodes] = false;
        }
        for (size_t j = 0; j < N; j++)
            if (inside[j] && (least == NULL || nodes[j].key < least->key))
                least = &nodes[j];
        ck_assert(pf_heap_is_empty(&heap) == (least == NULL));
        if (least != NULL) {
            ck_assert(inside[pf_heap_min(&heap) - nodes]);
            ck_assert(pf_heap_min(&heap)->key == least->key);
        }
    }
    free(nodes);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("heap");

    tcase_add_test(tests, an_empty_heap_has_no_minimum);
    tcase_add_test(tests, keys_come_out_in_order);
    tcase_add_test(tests, extreme_and_equal_keys_are_kept);
    tcase_add_test(tests, a_long_list_of_children_is_no_recursion);
    tcase_add_loop_test(tests, any_operations_agree_with_a_model, 0, 8);
    return unit_run(tests, "heap");
}

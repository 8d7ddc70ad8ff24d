/* check_block.c - tests of block.c and body.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "block.h"
#include "body.h"

#include "retry.h" /* pf_random */
#include "unit.h"

#include <stdatomic.h>
#include <string.h>

enum {
    SMALL = PF_BLOCK_SMALL_BYTES,
    LARGE = PF_BLOCK_LARGE_BYTES,
    SMALL_IN_LARGE = LARGE / SMALL
};

static struct pf_stop stop;
static struct pf_block_pool pool;

static void open_pool(size_t limit_bytes)
{
    pf_stop_init(&stop);
    pf_block_pool_init(&pool, limit_bytes, &stop);
}

static size_t list_bytes(const struct pf_msg *msg, size_t capacity)
{
    size_t bytes = 0;

    for (; msg != NULL; msg = msg->next)
        bytes += capacity;
    return bytes;
}

/* Everything must have come back, and be counted right. */
static void close_pool(void)
{
    ck_assert_uint_eq(pool.common_bytes, 0);
    ck_assert_ptr_null(pool.first_waiting);
    ck_assert_uint_eq(pool.free_bytes, list_bytes(pool.free_small, SMALL)
                                           + list_bytes(pool.free_large,
                                                        LARGE));
    pf_block_pool_fini(&pool);
}

static struct pf_block *get(struct pf_block_user *user, bool want_large,
                            size_t capacity, bool own)
{
    bool no_memory = true;
    struct pf_block *block = pf_block_get(&pool, user, want_large, &no_memory);

    ck_assert_ptr_nonnull(block);
    ck_assert(!no_memory);
    ck_assert_uint_eq(block->capacity, capacity);
    ck_assert_ptr_eq(block->user, own ? user : NULL);
    ck_assert_uint_eq(block->size, 0);
    ck_assert_ptr_null(block->response);
    ck_assert_ptr_null(block->job);
    ck_assert_int_eq(block->msg.kind, PF_MSG_BLOCK);
    memset(block->data, 0xaa, block->capacity);
    return block;
}

static bool is_waiting(struct pf_block_user *user)
{
    bool is;

    pf_mutex_lock(&pool.lock);
    is = user->is_waiting;
    pf_mutex_unlock(&pool.lock);
    return is;
}

/* A user whose own block and all common ones are out. */
struct holder {
    struct pf_block_user user;
    struct pf_block *own, *common[SMALL_IN_LARGE];
};

static void hold_all(struct holder *holder)
{
    pf_block_user_init(&holder->user);
    holder->own = get(&holder->user, false, SMALL, true);
    for (int i = 0; i < SMALL_IN_LARGE; i++)
        holder->common[i] = get(&holder->user, false, SMALL, false);
}

static void give_all(struct holder *holder)
{
    if (holder->own != NULL)
        pf_block_put(&pool, holder->own);
    for (int i = 0; i < SMALL_IN_LARGE; i++)
        if (holder->common[i] != NULL)
            pf_block_put(&pool, holder->common[i]);
    pf_block_user_fini(&holder->user);
}

/* A thread that gets one block, and puts it back if it is told to. */
struct getter {
    pthread_t thread;
    struct pf_block_user *user;
    bool want_large, put;
    struct pf_block *block;
    bool no_memory;
    _Atomic bool is_done;
};

static void *run_get(void *arg)
{
    struct getter *g = arg;

    g->block = pf_block_get(&pool, g->user, g->want_large, &g->no_memory);
    atomic_store(&g->is_done, true);
    if (g->put)
        pf_block_put(&pool, g->block);
    return NULL;
}

static void start_getter(struct getter *g, struct pf_block_user *user)
{
    g->user = user;
    atomic_init(&g->is_done, false);
    g->thread = unit_start(run_get, g);
    AWAIT(is_waiting(user));
}

static void join_getter(struct getter *g)
{
    AWAIT(atomic_load(&g->is_done));
    pf_thread_join(g->thread);
}

/* --- what is granted ------------------------------------------------------ */

START_TEST(the_own_block_comes_first)
{
    struct pf_block_user user;
    struct pf_block *own, *common;

    open_pool(LARGE);
    pf_block_user_init(&user);
    own = get(&user, false, SMALL, true);
    common = get(&user, false, SMALL, false);
    ck_assert_uint_eq(pool.common_bytes, SMALL);
    pf_block_put(&pool, own);
    own = get(&user, false, SMALL, true);
    pf_block_put(&pool, common);
    pf_block_put(&pool, own);
    pf_block_user_fini(&user);
    close_pool();
}
END_TEST

START_TEST(large_blocks_are_given_while_there_are)
{
    struct pf_block_user user;
    struct pf_block *blocks[4];

    open_pool(2 * LARGE + SMALL);
    pf_block_user_init(&user);
    blocks[0] = get(&user, true, LARGE, false);
    blocks[1] = get(&user, true, LARGE, false);
    blocks[2] = get(&user, true, SMALL, true);
    blocks[3] = get(&user, true, SMALL, false);
    ck_assert_uint_eq(pool.common_bytes, pool.limit_bytes);
    for (int i = 0; i < 4; i++)
        pf_block_put(&pool, blocks[i]);
    pf_block_user_fini(&user);
    close_pool();
}
END_TEST

START_TEST(the_limit_is_one_large_block_at_least)
{
    struct pf_block_user user;

    open_pool(1);
    pf_block_user_init(&user);
    pf_block_put(&pool, get(&user, true, LARGE, false));
    pf_block_user_fini(&user);
    close_pool();
}
END_TEST

/* Any number of slow ones in their own blocks leave the common ones alone. */
START_TEST(own_blocks_take_nothing_from_the_others)
{
    enum { N = 100 };
    static struct pf_block_user users[N];
    struct pf_block *blocks[N], *large;

    open_pool(LARGE);
    for (int i = 0; i < N; i++) {
        pf_block_user_init(&users[i]);
        blocks[i] = get(&users[i], false, SMALL, true);
    }
    large = get(&users[0], true, LARGE, false);
    pf_block_put(&pool, large);
    for (int i = 0; i < N; i++) {
        pf_block_put(&pool, blocks[i]);
        pf_block_user_fini(&users[i]);
    }
    close_pool();
}
END_TEST

START_TEST(put_drops_the_reference_to_the_response)
{
    struct pf_response *response = pf_response_create();
    struct pf_block_user user;
    struct pf_block *block;

    open_pool(LARGE);
    pf_block_user_init(&user);
    block = get(&user, false, SMALL, true);
    block->response = pf_response_ref(response);
    ck_assert_uint_eq(atomic_load(&response->refs), 2);
    pf_block_put(&pool, block);
    ck_assert_uint_eq(atomic_load(&response->refs), 1);
    pf_response_unref(response);
    pf_block_user_fini(&user);
    close_pool();
}
END_TEST

/* --- waiting -------------------------------------------------------------- */

/* 0: a common block comes back, 1: the own one of who waits. */
START_TEST(a_block_that_comes_back_wakes_who_waits)
{
    struct holder holder;
    struct getter getter = { .put = false };
    struct pf_block_user user;
    struct pf_block *own;

    open_pool(LARGE);
    hold_all(&holder);
    pf_block_user_init(&user);
    own = get(&user, false, SMALL, true);
    start_getter(&getter, &user);
    ck_assert(!atomic_load(&getter.is_done));
    if (_i == 0) {
        pf_block_put(&pool, holder.common[0]);
        holder.common[0] = NULL;
    } else {
        pf_block_put(&pool, own);
        own = NULL;
    }
    join_getter(&getter);
    ck_assert_ptr_nonnull(getter.block);
    ck_assert_ptr_eq(getter.block->user, _i == 0 ? NULL : &user);
    pf_block_put(&pool, getter.block);
    if (own != NULL)
        pf_block_put(&pool, own);
    pf_block_user_fini(&user);
    give_all(&holder);
    close_pool();
}
END_TEST

/* It is nobody else's, so nobody else is woken for it. */
START_TEST(an_own_block_wakes_its_user_behind_others)
{
    struct holder holder;
    struct getter getters[2] = { { .put = false } };
    struct pf_block_user users[2];
    struct pf_block *own[2];

    open_pool(LARGE);
    hold_all(&holder);
    for (int i = 0; i < 2; i++) {
        pf_block_user_init(&users[i]);
        own[i] = get(&users[i], false, SMALL, true);
        start_getter(&getters[i], &users[i]);
    }
    for (int i = 1; i >= 0; i--) {
        pf_block_put(&pool, own[i]);
        join_getter(&getters[i]);
        ck_assert_ptr_eq(getters[i].block->user, &users[i]);
    }
    for (int i = 0; i < 2; i++) {
        pf_block_put(&pool, getters[i].block);
        pf_block_user_fini(&users[i]);
    }
    give_all(&holder);
    close_pool();
}
END_TEST

/* One large block comes back: enough for all who want a small one. */
START_TEST(a_large_block_serves_several_who_wait)
{
    enum { N = 4 };
    static struct pf_block_user users[N + 1];
    struct getter getters[N] = { { .put = false } };
    struct pf_block *own[N], *large;

    open_pool(LARGE);
    pf_block_user_init(&users[N]);
    large = get(&users[N], true, LARGE, false);
    for (int i = 0; i < N; i++) {
        pf_block_user_init(&users[i]);
        own[i] = get(&users[i], false, SMALL, true);
        start_getter(&getters[i], &users[i]);
    }
    pf_block_put(&pool, large);
    for (int i = 0; i < N; i++)
        join_getter(&getters[i]);
    for (int i = 0; i < N; i++) {
        pf_block_put(&pool, getters[i].block);
        pf_block_put(&pool, own[i]);
        pf_block_user_fini(&users[i]);
    }
    pf_block_user_fini(&users[N]);
    close_pool();
}
END_TEST

/* Who asked later got the block that who waited had been woken for. */
START_TEST(who_waits_was_overtaken)
{
    struct holder holder;
    struct getter getter = { .put = true };
    struct pf_block_user user;
    struct pf_block *own;

    open_pool(LARGE);
    hold_all(&holder);
    pf_block_user_init(&user);
    own = get(&user, false, SMALL, true);
    start_getter(&getter, &user);
    pf_block_put(&pool, holder.common[0]);
    holder.common[0] = get(&holder.user, false, SMALL, false);
    ck_assert(atomic_load(&getter.is_done));
    join_getter(&getter);
    pf_block_put(&pool, own);
    pf_block_user_fini(&user);
    give_all(&holder);
    close_pool();
}
END_TEST

START_TEST(stop_wakes_who_waits)
{
    enum { N = 3 };
    static struct pf_block_user users[N];
    struct holder holder;
    struct getter getters[N] = { { .put = false } };
    struct pf_block *own[N];

    open_pool(LARGE);
    hold_all(&holder);
    if (_i == 1) /* a grace long before it matters */
        pf_stop_abort_at(&stop, pf_now_ms() + 3600 * 1000);
    for (int i = 0; i < N; i++) {
        pf_block_user_init(&users[i]);
        own[i] = get(&users[i], false, SMALL, true);
        start_getter(&getters[i], &users[i]);
    }
    pf_stop_abort_at(&stop, pf_now_ms());
    pf_block_pool_wake(&pool);
    for (int i = 0; i < N; i++) {
        join_getter(&getters[i]);
        ck_assert_ptr_null(getters[i].block);
        ck_assert(!getters[i].no_memory);
        pf_block_put(&pool, own[i]);
        pf_block_user_fini(&users[i]);
    }
    give_all(&holder);
    close_pool();
}
END_TEST

/* The grace time ends while one waits: nobody comes to wake it then. */
START_TEST(the_end_of_the_grace_time_wakes)
{
    struct holder holder;
    struct getter getter = { .put = false };
    int64_t abort_at_ms;

    open_pool(LARGE);
    hold_all(&holder);
    if (_i == 1) /* asked for while it waits */
        start_getter(&getter, &holder.user);
    abort_at_ms = pf_now_ms() + 50;
    pf_stop_abort_at(&stop, abort_at_ms);
    if (_i == 0) {
        getter.user = &holder.user;
        (void)run_get(&getter);
    } else {
        pf_block_pool_wake(&pool);
        join_getter(&getter);
    }
    ck_assert(pf_now_ms() >= abort_at_ms);
    ck_assert_ptr_null(getter.block);
    ck_assert(!getter.no_memory);
    give_all(&holder);
    close_pool();
}
END_TEST

/* --- memory --------------------------------------------------------------- */

/* Random gets and puts of one thread (that never has to wait): what is out
 * and what is kept never exceeds the limit and one small block a user. */
START_TEST(memory_stays_within_the_limit)
{
    enum { USERS = 5, SLOTS = 200, STEPS = 5000 };
    static struct pf_block_user users[USERS];
    static struct pf_block *out[SLOTS];
    size_t limit = 3 * LARGE + 5 * SMALL + 1;
    uint64_t random = (uint64_t)_i + 1;

    open_pool(limit);
    for (int i = 0; i < USERS; i++)
        pf_block_user_init(&users[i]);
    for (int step = 0; step < STEPS; step++) {
        int slot = (int)(pf_random(&random) >> 40) % SLOTS;
        struct pf_block_user *user
            = &users[(pf_random(&random) >> 40) % USERS];
        size_t own_bytes = 0, out_bytes = 0;

        /* Runs of one size, so that the other lies idle. */
        for (int i = 0; step % 500 == 0 && i < SLOTS; i++)
            if (out[i] != NULL) {
                pf_block_put(&pool, out[i]);
                out[i] = NULL;
            }
        if (out[slot] != NULL) {
            pf_block_put(&pool, out[slot]);
            out[slot] = NULL;
        } else if (!user->has_own || limit - pool.common_bytes >= SMALL) {
            bool no_memory;

            out[slot] = pf_block_get(&pool, user, step / 500 % 2 == 1,
                                     &no_memory);
            ck_assert_ptr_nonnull(out[slot]);
        }
        for (int i = 0; i < USERS; i++)
            own_bytes += users[i].has_own ? SMALL : 0;
        for (int i = 0; i < SLOTS; i++)
            out_bytes += out[i] != NULL ? out[i]->capacity : 0;
        ck_assert_uint_eq(out_bytes, own_bytes + pool.common_bytes);
        ck_assert_uint_le(pool.common_bytes, limit);
        ck_assert_uint_le(out_bytes + pool.free_bytes, limit + USERS * SMALL);
    }
    for (int i = 0; i < SLOTS; i++)
        if (out[i] != NULL)
            pf_block_put(&pool, out[i]);
    for (int i = 0; i < USERS; i++)
        pf_block_user_fini(&users[i]);
    close_pool();
}
END_TEST

/* --- bodies --------------------------------------------------------------- */

static struct pf_resultqueue results;
static struct pfetch_job nobody; /* whose body it is does not matter */

/* Byte n of every body. */
static unsigned char byte_at(int64_t n)
{
    return (unsigned char)(n * 7 + (n >> 8) * 13 + (n >> 16));
}

static enum pf_body_result write_bytes(struct pf_body *body, int64_t from,
                                       size_t size)
{
    char *data = malloc(size + 1);
    enum pf_body_result result;

    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)byte_at(from + (int64_t)i);
    result = pf_body_write(body, data, size);
    free(data);
    return result;
}

/* Checks a block's bytes and puts it back; returns how many it had. */
static size_t read_block(struct pf_block *block, int64_t from)
{
    size_t size = block->size;

    for (size_t i = 0; i < size; i++)
        if (block->data[i] != byte_at(from + (int64_t)i))
            return 0;
    pf_block_put(&pool, block);
    return size;
}

START_TEST(bodies_travel_in_order)
{
    struct pfetch_job *job = unit_job("http://h/", 1);
    struct pf_response *response = pf_response_create();
    struct pf_body body;
    struct pf_msg *msg;
    struct pf_block *block;
    int64_t written = 0, read = 0;
    uint64_t random = (uint64_t)_i + 1;

    open_pool(64 * LARGE);
    pf_resultqueue_init(&results);
    pf_body_init(&body, &pool, &results);
    pf_body_begin(&body, job, response, 100);
    for (int i = 0; i < 100; i++) {
        size_t size = (pf_random(&random) >> 40) % (3 * SMALL);

        ck_assert_int_eq(write_bytes(&body, written, size), PF_BODY_OK);
        written += (int64_t)size;
    }
    ck_assert_int_le(body.pushed_bytes, written);
    block = pf_body_tail(&body);
    ck_assert_ptr_null(pf_body_tail(&body));
    ck_assert_ptr_nonnull(block);
    ck_assert_int_eq(body.pushed_bytes + (int64_t)block->size, written);
    pf_resultqueue_push(&results, &block->msg, &block->msg);
    msg = pf_resultqueue_pop_all(&results, false);
    while (msg != NULL) {
        struct pf_msg *next = msg->next;
        size_t n;

        block = pf_block_of(msg);
        ck_assert_ptr_eq(block->job, job);
        ck_assert_ptr_eq(block->response, read == 0 ? response : NULL);
        ck_assert_int_eq(block->offset, read == 0 ? 100 : 0);
        n = read_block(block, read);
        ck_assert_uint_gt(n, 0);
        read += (int64_t)n;
        msg = next;
    }
    ck_assert_int_eq(read, written);
    ck_assert_uint_eq(atomic_load(&response->refs), 1);
    pf_response_unref(response);
    pf_body_fini(&body);
    pf_resultqueue_fini(&results);
    pf_job_free(job);
    close_pool();
}
END_TEST

START_TEST(an_empty_body_takes_no_block)
{
    struct pf_body body;

    open_pool(LARGE);
    pf_resultqueue_init(&results);
    pf_body_init(&body, &pool, &results);
    pf_body_begin(&body, &nobody, NULL, 0);
    ck_assert_int_eq(pf_body_write(&body, "", 0), PF_BODY_OK);
    ck_assert(!body.is_begun);
    ck_assert_ptr_null(pf_body_tail(&body));
    pf_body_fini(&body);
    pf_resultqueue_fini(&results);
    close_pool();
}
END_TEST

START_TEST(large_blocks_are_for_the_fast)
{
    struct pf_response *response = pf_response_create();
    struct pf_body body;
    struct pf_msg *msg;

    open_pool(64 * LARGE);
    pf_resultqueue_init(&results);
    pf_body_init(&body, &pool, &results);
    pf_body_begin(&body, &nobody, response, 0);
    ck_assert_int_eq(write_bytes(&body, 0, 1), PF_BODY_OK);
    ck_assert_uint_eq(body.block->capacity, SMALL);
    body.block_since_ms = pf_now_ms(); /* whatever the machine did so far */
    ck_assert_int_eq(write_bytes(&body, 1, SMALL), PF_BODY_OK);
    ck_assert_uint_eq(body.block->capacity, LARGE);
    body.block_since_ms -= 3600 * 1000; /* it has become slow */
    ck_assert_int_eq(write_bytes(&body, SMALL + 1, LARGE), PF_BODY_OK);
    ck_assert_uint_eq(body.block->capacity, SMALL);
    pf_block_put(&pool, pf_body_tail(&body));
    msg = pf_resultqueue_pop_all(&results, false);
    while (msg != NULL) {
        struct pf_msg *next = msg->next;

        pf_block_put(&pool, pf_block_of(msg));
        msg = next;
    }
    pf_body_begin(&body, &nobody, response, 0); /* forgets how fast it was */
    ck_assert_int_eq(write_bytes(&body, 0, 1), PF_BODY_OK);
    ck_assert_uint_eq(body.block->capacity, SMALL);
    pf_block_put(&pool, pf_body_tail(&body));
    pf_response_unref(response);
    pf_body_fini(&body);
    pf_resultqueue_fini(&results);
    close_pool();
}
END_TEST

START_TEST(a_stop_ends_a_write)
{
    struct pf_response *response = pf_response_create();
    struct pf_body body;
    struct pf_msg *msg;
    int64_t written;

    open_pool(LARGE);
    pf_resultqueue_init(&results);
    pf_body_init(&body, &pool, &results);
    pf_body_begin(&body, &nobody, response, 0);
    pf_stop_abort_at(&stop, pf_now_ms());
    /* More than there is, and nobody gives back. */
    ck_assert_int_eq(write_bytes(&body, 0, 2 * LARGE + SMALL),
                     PF_BODY_ABORTED);
    ck_assert_ptr_null(pf_body_tail(&body));
    msg = pf_resultqueue_pop_all(&results, false);
    for (written = 0; msg != NULL; ) {
        struct pf_msg *next = msg->next;

        written += (int64_t)read_block(pf_block_of(msg), written);
        msg = next;
    }
    ck_assert_int_eq(written, LARGE + SMALL);
    pf_response_unref(response);
    pf_body_fini(&body);
    pf_resultqueue_fini(&results);
    close_pool();
}
END_TEST

/* --- several workers and a writer ----------------------------------------- */

enum { FLOW_WORKERS = 4, FLOW_BYTES = 3 * 1024 * 1024 };

struct flow {
    struct pf_body body;
    struct pfetch_job *job;
    bool is_broken;
    int64_t read; /* the writer's */
};

static void *run_worker(void *arg)
{
    struct flow *flow = arg;
    struct pf_response *response = pf_response_create();
    char data[4096];
    int64_t written = 0;
    struct pf_block *tail;

    pf_body_begin(&flow->body, flow->job, response, 0);
    while (written < FLOW_BYTES) {
        for (size_t i = 0; i < sizeof(data); i++)
            data[i] = (char)byte_at(written + (int64_t)i);
        if (pf_body_write(&flow->body, data, sizeof(data)) != PF_BODY_OK)
            flow->is_broken = true;
        written += (int64_t)sizeof(data);
    }
    tail = pf_body_tail(&flow->body);
    if (tail != NULL) {
        tail->msg.next = &flow->job->verdict;
        pf_resultqueue_push(&results, &tail->msg, &flow->job->verdict);
    } else {
        pf_resultqueue_push(&results, &flow->job->verdict,
                            &flow->job->verdict);
    }
    pf_response_unref(response);
    return NULL;
}

static bool is_within_limit(void)
{
    bool is;

    pf_mutex_lock(&pool.lock);
    is = pool.common_bytes <= pool.limit_bytes
         && pool.common_bytes + pool.free_bytes
                <= pool.limit_bytes + FLOW_WORKERS * SMALL;
    pf_mutex_unlock(&pool.lock);
    return is;
}

START_TEST(bodies_of_several_workers_through_a_small_pool)
{
    static struct flow flows[FLOW_WORKERS];
    pthread_t threads[FLOW_WORKERS];
    int verdicts = 0;

    open_pool(_i == 0 ? 1 : 3 * LARGE);
    pf_resultqueue_init(&results);
    for (int i = 0; i < FLOW_WORKERS; i++) {
        flows[i].job = unit_job("http://h/", 1);
        flows[i].job->state = &flows[i];
        pf_body_init(&flows[i].body, &pool, &results);
        threads[i] = unit_start(run_worker, &flows[i]);
    }
    while (verdicts < FLOW_WORKERS) {
        struct pf_msg *msg = pf_resultqueue_pop_all(&results, false);

        ck_assert(is_within_limit());
        while (msg != NULL) {
            struct pf_msg *next = msg->next;

            if (msg->kind == PF_MSG_VERDICT) {
                verdicts++;
            } else {
                struct pf_block *block = pf_block_of(msg);
                struct flow *flow = block->job->state;
                size_t n = read_block(block, flow->read);

                ck_assert_uint_gt(n, 0);
                flow->read += (int64_t)n;
            }
            msg = next;
        }
    }
    for (int i = 0; i < FLOW_WORKERS; i++) {
        pf_thread_join(threads[i]);
        ck_assert(!flows[i].is_broken);
        ck_assert_int_eq(flows[i].read, FLOW_BYTES);
        pf_body_fini(&flows[i].body);
        pf_job_free(flows[i].job);
    }
    pf_resultqueue_fini(&results);
    close_pool();
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("block");

    tcase_add_test(tests, the_own_block_comes_first);
    tcase_add_test(tests, large_blocks_are_given_while_there_are);
    tcase_add_test(tests, the_limit_is_one_large_block_at_least);
    tcase_add_test(tests, own_blocks_take_nothing_from_the_others);
    tcase_add_test(tests, put_drops_the_reference_to_the_response);
    tcase_add_loop_test(tests, a_block_that_comes_back_wakes_who_waits, 0, 2);
    tcase_add_test(tests, an_own_block_wakes_its_user_behind_others);
    tcase_add_test(tests, a_large_block_serves_several_who_wait);
    tcase_add_test(tests, who_waits_was_overtaken);
    tcase_add_loop_test(tests, stop_wakes_who_waits, 0, 2);
    tcase_add_loop_test(tests, the_end_of_the_grace_time_wakes, 0, 2);
    tcase_add_loop_test(tests, memory_stays_within_the_limit, 0, 4);
    tcase_add_loop_test(tests, bodies_travel_in_order, 0, 3);
    tcase_add_test(tests, an_empty_body_takes_no_block);
    tcase_add_test(tests, large_blocks_are_for_the_fast);
    tcase_add_test(tests, a_stop_ends_a_write);
    tcase_add_loop_test(tests, bodies_of_several_workers_through_a_small_pool,
                        0, 2);
    return unit_run(tests, "block");
}

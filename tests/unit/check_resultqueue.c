/* check_resultqueue.c - tests of resultqueue.c, and of pfetch_settle().
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "resultqueue.h"

#include "unit.h"

#include <stdatomic.h>
#include <string.h>

static struct pf_resultqueue queue;

static void push(struct pf_msg *msg)
{
    pf_resultqueue_push(&queue, msg, msg);
}

static bool is_asleep(void)
{
    bool is;

    pf_mutex_lock(&queue.lock);
    is = queue.is_asleep;
    pf_mutex_unlock(&queue.lock);
    return is;
}

/* The writer: one call of pop_all. */
struct popper {
    pthread_t thread;
    bool is_owed;
    struct pf_msg *all;
    _Atomic bool is_done;
};

static void *run_pop(void *arg)
{
    struct popper *popper = arg;

    popper->all = pf_resultqueue_pop_all(&queue, popper->is_owed);
    atomic_store(&popper->is_done, true);
    return NULL;
}

static void start_popper(struct popper *popper, bool is_owed)
{
    popper->is_owed = is_owed;
    atomic_init(&popper->is_done, false);
    popper->thread = unit_start(run_pop, popper);
    AWAIT(is_asleep());
    ck_assert(!atomic_load(&popper->is_done));
}

static void join_popper(struct popper *popper)
{
    AWAIT(atomic_load(&popper->is_done));
    pf_thread_join(popper->thread);
}

START_TEST(messages_keep_their_order)
{
    struct pf_msg m[4] = { { .kind = PF_MSG_VERDICT } };
    struct pf_msg *all;

    pf_resultqueue_init(&queue);
    push(&m[0]);
    m[1].next = &m[2]; /* a chain, as a worker pushes block and verdict */
    m[2].next = &m[0]; /* whatever was there before */
    pf_resultqueue_push(&queue, &m[1], &m[2]);
    push(&m[3]);
    all = pf_resultqueue_pop_all(&queue, false);
    for (int i = 0; i < 4; i++) {
        ck_assert_ptr_eq(all, &m[i]);
        all = all->next;
    }
    ck_assert_ptr_null(all);
    push(&m[2]); /* the queue starts anew */
    all = pf_resultqueue_pop_all(&queue, false);
    ck_assert_ptr_eq(all, &m[2]);
    ck_assert_ptr_null(all->next);
    pf_resultqueue_fini(&queue);
}
END_TEST

START_TEST(the_writer_sleeps_until_a_push)
{
    struct popper popper;
    struct pf_msg msg;

    pf_resultqueue_init(&queue);
    start_popper(&popper, false);
    push(&msg);
    join_popper(&popper);
    ck_assert_ptr_eq(popper.all, &msg);
    pf_resultqueue_fini(&queue);
}
END_TEST

START_TEST(close_ends_the_writer)
{
    struct popper popper;

    pf_resultqueue_init(&queue);
    start_popper(&popper, false);
    pf_resultqueue_close(&queue);
    join_popper(&popper);
    ck_assert_ptr_null(popper.all);
    ck_assert_ptr_null(pf_resultqueue_pop_all(&queue, false));
    pf_resultqueue_fini(&queue);
}
END_TEST

START_TEST(what_is_left_comes_out_after_close)
{
    struct pf_msg msg;

    pf_resultqueue_init(&queue);
    push(&msg);
    pf_resultqueue_close(&queue);
    ck_assert_ptr_eq(pf_resultqueue_pop_all(&queue, false), &msg);
    ck_assert_ptr_null(pf_resultqueue_pop_all(&queue, false));
    pf_resultqueue_fini(&queue);
}
END_TEST

/* A handler still owes a pfetch_settle(): close does not end the writer. */
START_TEST(a_settled_job_is_waited_for_after_close)
{
    struct pfetch_job *job = unit_job("http://h/", 1);
    struct pfetch_failure why = { PFETCH_CLASS_LOCAL, "full" };
    struct popper popper;

    pf_resultqueue_init(&queue);
    job->results = &queue;
    if (_i == 0)
        pf_resultqueue_close(&queue);
    start_popper(&popper, true);
    if (_i == 1) {
        pf_resultqueue_close(&queue);
        AWAIT(is_asleep());
    }
    ck_assert(!atomic_load(&popper.is_done));
    pfetch_settle(job, PFETCH_FAIL, &why);
    memset(&why, 0, sizeof(why)); /* it was copied */
    join_popper(&popper);
    ck_assert_ptr_eq(popper.all, &job->settled);
    ck_assert_int_eq(popper.all->kind, PF_MSG_SETTLED);
    ck_assert_ptr_eq(pf_job_of_settled(popper.all), job);
    ck_assert_int_eq(job->settle_reply, PFETCH_FAIL);
    ck_assert_str_eq(job->handler_why->text, "full");
    ck_assert_ptr_null(pf_resultqueue_pop_all(&queue, false));
    pf_job_free(job);
    pf_resultqueue_fini(&queue);
}
END_TEST

/* --- several who push ----------------------------------------------------- */

enum { PUSHERS = 3, MESSAGES = 5000 };

struct numbered {
    struct pf_msg msg; /* first: a message is its number's */
    int pusher, n;
};

static struct numbered messages[PUSHERS][MESSAGES];

static void *run_push(void *arg)
{
    struct numbered *mine = arg;

    for (int n = 0; n < MESSAGES; n += 2) {
        mine[n].msg.next = &mine[n + 1].msg;
        pf_resultqueue_push(&queue, &mine[n].msg, &mine[n + 1].msg);
    }
    return NULL;
}

static void *run_write(void *arg)
{
    int next[PUSHERS] = { 0 };
    struct pf_msg *msg;
    unsigned *count = arg;

    while ((msg = pf_resultqueue_pop_all(&queue, false)) != NULL)
        for (; msg != NULL; msg = msg->next) {
            const struct numbered *m = (void *)msg;

            if (m->n != next[m->pusher]++)
                return NULL; /* the count will be wrong */
            ++*count;
        }
    return NULL;
}

START_TEST(nothing_is_lost_between_threads)
{
    pthread_t pushers[PUSHERS], writer;
    unsigned count = 0;

    pf_resultqueue_init(&queue);
    for (int p = 0; p < PUSHERS; p++)
        for (int n = 0; n < MESSAGES; n++) {
            messages[p][n].pusher = p;
            messages[p][n].n = n;
        }
    writer = unit_start(run_write, &count);
    for (int p = 0; p < PUSHERS; p++)
        pushers[p] = unit_start(run_push, messages[p]);
    for (int p = 0; p < PUSHERS; p++)
        pf_thread_join(pushers[p]);
    pf_resultqueue_close(&queue);
    pf_thread_join(writer);
    ck_assert_uint_eq(count, PUSHERS * MESSAGES);
    pf_resultqueue_fini(&queue);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("resultqueue");

    tcase_add_test(tests, messages_keep_their_order);
    tcase_add_test(tests, the_writer_sleeps_until_a_push);
    tcase_add_test(tests, close_ends_the_writer);
    tcase_add_test(tests, what_is_left_comes_out_after_close);
    tcase_add_loop_test(tests, a_settled_job_is_waited_for_after_close, 0, 2);
    tcase_add_test(tests, nothing_is_lost_between_threads);
    return unit_run(tests, "resultqueue");
}

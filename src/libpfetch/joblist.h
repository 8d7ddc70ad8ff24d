/* joblist.h - a list of jobs from which any one can be taken in O(1).
 *
 * SPDX-License-Identifier: MIT
 *
 * Linked through the jobs themselves.  Not thread-safe: the owner's lock
 * guards it.
 */
#ifndef PF_JOBLIST_H
#define PF_JOBLIST_H

#include "job.h"

struct pf_job_list {
    struct pfetch_job *first, **last;
};

static inline void pf_job_list_init(struct pf_job_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static inline void pf_job_list_append(struct pf_job_list *list,
                                      struct pfetch_job *job)
{
    job->next = NULL;
    job->link = list->last;
    *list->last = job;
    list->last = &job->next;
}

static inline void pf_job_list_prepend(struct pf_job_list *list,
                                       struct pfetch_job *job)
{
    job->next = list->first;
    job->link = &list->first;
    if (list->first != NULL)
        list->first->link = &job->next;
    else
        list->last = &job->next;
    list->first = job;
}

static inline void pf_job_list_remove(struct pf_job_list *list,
                                      struct pfetch_job *job)
{
    *job->link = job->next;
    if (job->next != NULL)
        job->next->link = job->link;
    else
        list->last = job->link;
    job->next = NULL;
    job->link = NULL;
}

/* NULL: the list is empty. */
static inline struct pfetch_job *pf_job_list_take(struct pf_job_list *list)
{
    struct pfetch_job *job = list->first;

    if (job != NULL)
        pf_job_list_remove(list, job);
    return job;
}

#endif

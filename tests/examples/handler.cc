// handler.cc - a data handler as a C++ class.
//
// SPDX-License-Identifier: MIT
//
//     handler URL...
//
// No exception may leave a callback: it would have to cross C.
#include <pfetch.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <map>
#include <string>

namespace {

class Collector {
public:
    // Fills in what pfetch_create() wants to have.
    pfetch_handler handler()
    {
        pfetch_handler h{};
        h.self = this;
        h.serial = true;
        h.take = take;
        h.end = end;
        return h;
    }

    const std::map<std::string, std::string> &bodies() const
    {
        return bodies_;
    }

private:
    static pfetch_reply take(void *self, pfetch_job *job, const void *data,
                             std::size_t size, pfetch_failure *why)
    try {
        static_cast<Collector *>(self)->body_.append(
            static_cast<const char *>(data), size);
        (void)job;
        return PFETCH_GO;
    } catch (const std::exception &e) {
        pfetch_failure_set(why, PFETCH_CLASS_HANDLER, "%s", e.what());
        return PFETCH_FAIL;
    }

    static pfetch_reply end(void *self, pfetch_job *job,
                            const pfetch_record *record, pfetch_failure *why)
    try {
        auto *me = static_cast<Collector *>(self);
        if (record->status == PFETCH_STATUS_OK)
            me->bodies_[pfetch_job_url(job)] = std::move(me->body_);
        me->body_.clear();
        return PFETCH_GO;
    } catch (const std::exception &e) {
        pfetch_failure_set(why, PFETCH_CLASS_HANDLER, "%s", e.what());
        return PFETCH_FAIL;
    }

    std::string body_; // of the URL going on
    std::map<std::string, std::string> bodies_;
};

} // namespace

int main(int argc, char **argv)
{
    Collector collector;
    const pfetch_handler handler = collector.handler();
    pfetch_options options;
    pfetch_failure why;
    pfetch *pf;

    std::signal(SIGPIPE, SIG_IGN);
    pfetch_options_init(&options);
    if (pfetch_create(&pf, &options, &handler, &why) != 0) {
        std::fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        pfetch_request request{};
        request.url = argv[i];
        request.n = static_cast<std::uint64_t>(i);
        if (pfetch_add(pf, &request) != 0)
            break;
    }
    pfetch_finish(pf, &why);
    pfetch_free(pf);
    for (const auto &[url, body] : collector.bodies())
        std::printf("%s %zu\n", url.c_str(), body.size());
    return 0;
}

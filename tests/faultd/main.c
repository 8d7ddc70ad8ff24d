/*
 * main.c - faultd: an HTTP server that misbehaves as the URL asks.
 *
 *     faultd [--bind ADDR] [--port N] [--mute]
 *            [--tls-cert FILE --tls-key FILE [--tls-port N]
 *             [--tls-min V] [--tls-max V] [--tls-client-ca FILE]]
 *
 * Prints "PORT plain", with TLS "PORT tls", and with --mute "PORT mute" (a
 * port that accepts and never says anything), then serves until standard input
 * ends, SIGTERM or /_stop.  script.h documents the URLs, control.h the control
 * URLs, body.h the bytes.
 *
 * main -> server (threads) -> conn (bytes) -> exchange (one request), which
 * uses request, script, decide, body and stats.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "server.h"
#include "tls.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Set before the handler is installed, then read-only. */
static struct server *stop_on_signal;

static void on_term(int signal_number)
{
    (void)signal_number; /* there is only one */
    server_stop(stop_on_signal);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        /* Where it is refused accept will say so. */
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void install_signals(struct server *server)
{
    struct sigaction term = {.sa_handler = on_term};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    stop_on_signal = server;
    if (sigaction(SIGTERM, &term, NULL) != 0 ||
        sigaction(SIGPIPE, &ignore, NULL) != 0)
        abort();
}

static int parse_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);

    if (end == text || *end != '\0' || port < 0 || port > 65535) {
        fprintf(stderr, "faultd: no port: %s\n", text);
        exit(2);
    }
    return (int)port;
}

static void parse_options(int argc, char **argv, struct server_options *options,
                          struct tls_options *tls)
{
    enum { BIND, PORT, TLS_PORT, MUTE, CERT, KEY, MIN, MAX, CLIENT_CA };
    static const struct option names[] = {
        {"bind", required_argument, NULL, BIND},
        {"port", required_argument, NULL, PORT},
        {"tls-port", required_argument, NULL, TLS_PORT},
        {"mute", no_argument, NULL, MUTE},
        {"tls-cert", required_argument, NULL, CERT},
        {"tls-key", required_argument, NULL, KEY},
        {"tls-min", required_argument, NULL, MIN},
        {"tls-max", required_argument, NULL, MAX},
        {"tls-client-ca", required_argument, NULL, CLIENT_CA},
        {NULL, 0, NULL, 0},
    };
    int tls_port = 0;
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case BIND: options->bind_address = optarg; break;
        case PORT: options->ports[PORT_PLAIN] = parse_port(optarg); break;
        case TLS_PORT: tls_port = parse_port(optarg); break;
        case MUTE: options->ports[PORT_MUTE] = 0; break;
        case CERT: tls->cert_file = optarg; break;
        case KEY: tls->key_file = optarg; break;
        case MIN: tls->min = optarg; break;
        case MAX: tls->max = optarg; break;
        case CLIENT_CA: tls->client_ca_file = optarg; break;
        default: exit(2); /* getopt_long has said why */
        }
    }
    if (tls->cert_file != NULL)
        options->ports[PORT_TLS] = tls_port;
    if (optind != argc || (tls->cert_file == NULL) != (tls->key_file == NULL)) {
        fputs("faultd: --tls-cert and --tls-key go together, and there are no "
              "arguments\n",
              stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct tls_options tls = {.cert_file = NULL};
    struct server_options options = {
        .bind_address = "127.0.0.1",
        .ports = {[PORT_PLAIN] = 0, [PORT_TLS] = -1, [PORT_MUTE] = -1},
    };

    parse_options(argc, argv, &options, &tls);
    raise_descriptor_limit();
    if (tls.cert_file != NULL && (options.tls = tls_create(&tls)) == NULL)
        return 1;
    struct server *server = server_create(&options);
    if (server == NULL)
        return 1;
    install_signals(server);
    server_run(server);
    (void)signal(SIGTERM, SIG_IGN); /* it ends already, and is freed next */
    server_free(server);
    SSL_CTX_free(options.tls);
    return 0;
}

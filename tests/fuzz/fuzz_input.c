/* fuzz_input.c - lists and checksum files, whole.
 *
 * SPDX-License-Identifier: MIT
 *
 * The first byte says how the rest is to be read.  Lines are counted without
 * a gap, what is accepted holds no control byte, and the text that would go
 * to --failed is, as a line of another list, the same request.
 */
#include "config.h"

#include "fuzz.h"
#include "input.h"
#include "pfetch.h"

#include <string.h>

enum { LISTS_PLAIN, LISTS_NULL, LISTS_SUMS, MODES, SIZE_MAX_BYTES = 70000 };

static struct pf_input *open_list(const char *name, unsigned mode)
{
    static const char *names[2];
    struct pf_input *input;
    struct pfetch_failure why;
    struct pf_input_options options = {.glob = true, .base = "http://h/d"};

    names[0] = name;
    options.null_separated = mode == LISTS_NULL;
    if (mode == LISTS_SUMS)
        options.sums = names;
    else
        options.lists = names;
    must(pf_input_create(&input, &options, &why) == 0);
    must(pf_input_keep_text(input) == 0);
    return input;
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_printable(const char *text)
{
    if (text != NULL)
        for (; *text != '\0'; text++)
            if ((unsigned char)*text < 0x20 || *text == 0x7f)
                return false;
    return true;
}

/* The text of a line, read again behind another line. */
static void check_text(const struct pf_line *line)
{
    static const char before[] = "http://h/before\n";
    static char list[sizeof(before) + SIZE_MAX_BYTES * 4];
    int size = snprintf(list, sizeof(list), "%s%s\n", before, line->text);
    struct fuzz_file file;
    struct pf_line again;
    struct pfetch_failure why;

    must(size > 0 && (size_t)size < sizeof(list));
    must(strchr(line->text, '\n') == NULL);
    fuzz_file_open(&file, list, (size_t)size);
    struct pf_input *input = open_list(file.name, LISTS_PLAIN);
    must(pf_input_next(input, &again, &why) == PF_INPUT_LINE);
    must(pf_input_next(input, &again, &why) == PF_INPUT_LINE);
    must(again.line == 2);
    must(is_same(line->url, again.url) && is_same(line->id, again.id) &&
         is_same(line->out, again.out) &&
         is_same(line->checksum, again.checksum) &&
         line->size_bytes == again.size_bytes);
    must(pf_input_next(input, &again, &why) == PF_INPUT_END);
    pf_input_free(input);
    fuzz_file_close(&file);
}

static void check_line(const struct pf_line *line)
{
    must(line->url != NULL && line->url[0] != '\0' && line->text != NULL);
    must(is_printable(line->url) && is_printable(line->id) &&
         is_printable(line->out) && is_printable(line->checksum));
    must(line->size_bytes >= -1);
    must(line->checksum == NULL || pfetch_checksum_check(line->checksum));
    check_text(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_file file;
    struct pf_line line;
    struct pfetch_failure why;
    enum pf_input_result result;
    uint64_t n = 0, number = 0;

    if (size == 0 || size > SIZE_MAX_BYTES)
        return 0;
    fuzz_file_open(&file, data + 1, size - 1);
    struct pf_input *input = open_list(file.name, data[0] % MODES);
    while ((result = pf_input_next(input, &line, &why)) <=
           PF_INPUT_BAD_LINE) {
        must(line.n == ++n && line.line > number);
        number = line.line;
        if (result == PF_INPUT_LINE)
            check_line(&line);
        else
            must(why.cls == PFETCH_CLASS_URL && why.text[0] != '\0');
    }
    /* What claims to be compressed may not be. */
    must(result == PF_INPUT_END ||
         (result == PF_INPUT_FAILED && why.text[0] != '\0'));
    pf_input_free(input);
    fuzz_file_close(&file);
    return 0;
}

#!/usr/bin/env python3
"""in_step - what is written about pfetch agrees with what it does.

SPDX-License-Identifier: MIT

The program is asked which options it has: `--help all` names them, and a form
--no-X is there if the program takes it. The manual and the completions must
have these and no others, and so must the commands in the manual. HACKING.md
must name each source file, the C program in README.md must compile, and the
packages have the version of configure.ac.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "support"))
import tap  # noqa: E402  (found by the line above)

MANUAL = TOP / "man/pfetch.1"
COMPLETIONS = TOP / "scripts/completions"


# --- the program ----------------------------------------------------------------

def help_entries():
    """What --help all says: {"--name": (letter or "", takes a value, text)}.
    """
    done = tap.run("--help", "all")
    assert done.returncode == 0, done.stderr
    text = done.stdout
    parts = re.split(r"^  (?:-(\w), |    )(--[a-z0-9-]+)", text, flags=re.M)
    entries = {}
    for letter, name, rest in zip(parts[1::3], parts[2::3], parts[3::3]):
        rest = re.split(r"\n\n", rest)[0]
        takes = re.match(r" [A-Z]", rest) is not None
        positive = "--" + name[len("--no-"):]
        if name.startswith("--no-") and positive in entries:
            name = positive  # the help has a line for each form
        entries[name] = (letter or "", takes, " ".join(rest.split()))
    assert len(entries) > 20, "--help all was not understood"
    return entries


def no_forms(entries):
    """The --no-X that the program takes."""
    found = set()
    for name in entries:
        negated = "--no-" + name[2:]
        if tap.run(negated, "--version").returncode == 0:
            found.add(negated)
    return found


def options():
    """Every spelling: long names, --no-X, and letters."""
    entries = help_entries()
    letters = {"-" + letter for letter, _, _ in entries.values() if letter}
    return set(entries) | no_forms(entries) | letters


def presets():
    """{"--name": default} for the options whose help states one."""
    found = {}
    for name, (_, _, text) in help_entries().items():
        match = re.search(r"\(default: (.*)\)$", text)
        if match:
            found[name] = match.group(1).split(", ")[0].replace(" ", "")
    return found


def same(what, expected, found):
    """Fails, naming the differences."""
    missing, extra = sorted(expected - found), sorted(found - expected)
    assert not missing, f"{what} lacks {' '.join(missing)}"
    assert not extra, f"{what} has {' '.join(extra)}, pfetch does not"


# --- the manual -----------------------------------------------------------------

def manual_items():
    """The items of the section OPTIONS: (spellings, text)."""
    text = MANUAL.read_text()
    section = re.search(r"^\.Sh OPTIONS\n(.*?)^\.Sh ", text, re.M | re.S)
    items = []
    for item in re.split(r"^\.It ", section.group(1), flags=re.M)[1:]:
        line, _, rest = item.partition("\n")
        if line.startswith("Fl "):
            flags = re.split(r" (?:Ar|Ns Op) ", line[3:])[0]
            items.append((["-" + flag for flag in flags.split(" , ")], rest))
    return items


@tap.case
def the_manual_has_each_option_and_no_other(_tmp):
    found = [spelling for item, _ in manual_items() for spelling in item]
    assert len(found) == len(set(found)), "an option stands there twice"
    same("man/pfetch.1", options(), set(found))


@tap.case
def the_manual_names_the_argument_that_the_help_names(_tmp):
    in_manual = dict(re.findall(r"^\.It Fl (?:\w , )?-([a-z-]+) Ar (\S+)$",
                                MANUAL.read_text(), re.M))
    in_help = {name[2:]: text.split(" ")[0]
               for name, (_, takes, text) in help_entries().items() if takes}
    assert in_manual == in_help, set(in_manual.items()) ^ set(in_help.items())


@tap.case
def the_manual_states_the_defaults_that_the_help_states(_tmp):
    stated = {}
    for spellings, text in manual_items():
        match = re.search(r"The default is\n\.Cm (?:\\&)?(\S+)", text)
        if match:
            name = next(s for s in spellings if s.startswith("--"))
            stated[name] = match.group(1)
    assert stated == presets(), set(stated.items()) ^ set(presets().items())


@tap.case
def options_mentioned_anywhere_in_the_manual_exist(_tmp):
    # COMPARED WITH is full of options of others; the commands in it are looked
    # at below.
    text = re.sub(r"^\.Sh COMPARED WITH\n.*?(?=^\.Sh )", "",
                  MANUAL.read_text(), flags=re.M | re.S)
    of_others = {"--array", "--unbuffered"}  # sbatch, jq
    mentioned = {"-" + flag for flag in
                 re.findall(r"\bFl (-[a-z][a-z-]*[a-z])(?![\w-])", text)}
    mentioned |= set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    unknown = mentioned - options() - of_others
    assert not unknown, " ".join(sorted(unknown))


def manual_commands(title):
    """The commands in the examples of a section: whole lines, continued ones
    joined, with the text of '...' left out."""
    section = re.search(rf"^\.Sh {title}\n(.*?)(?=^\.Sh |\Z)",
                        MANUAL.read_text(), re.M | re.S).group(1)
    shown = "\n".join(
        line or block for line, block in
        re.findall(r"^\.Dl (.*)$|^\.Bd -literal.*?\n(.*?)^\.Ed$", section,
                   re.M | re.S))
    for escape, char in ((r"\(aq", "'"), (r"\(dq", '"'), (r"\e", "\\")):
        shown = shown.replace(escape, char)
    shown = re.sub(r"'[^']*'", "TEXT", shown.replace("\\\n", " "))
    return re.findall(r"(?:^|(?<=[\s|;]))pfetch( .*?)(?: [|&<]|;|$)", shown,
                      re.M)


@tap.case
def the_commands_in_the_manual_use_options_that_exist(_tmp):
    known = options()
    for title, least in (("EXAMPLES", 30), ("COMPARED WITH", 25)):
        found = manual_commands(title)
        assert len(found) >= least, (title, len(found))
        for command in found:
            unknown = words(command) - known
            assert not unknown, f"{' '.join(sorted(unknown))} in: {command}"


@tap.case
def mandoc_finds_nothing_wrong_with_the_manual(_tmp):
    if not shutil.which("mandoc"):
        tap.skip("mandoc is not installed")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning",
                           *MANUAL.parent.glob("*.[13]")],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stdout + done.stderr, \
        done.stdout + done.stderr


# --- the completions ------------------------------------------------------------

def words(text):
    """Whatever looks like an option in a script."""
    return set(re.findall(r"(?<![\w-])(--[a-z][a-z0-9-]+|-[A-Za-z0-9])(?![\w-])",
                          text))


@tap.case
def the_bash_completion_has_each_option_and_no_other(_tmp):
    text = (COMPLETIONS / "pfetch.bash").read_text()
    offered = max(re.findall(r"compgen -W '([^']*)'", text), key=len)
    same("pfetch.bash", options(), words(offered))


@tap.case
def the_zsh_completion_has_each_option_and_no_other(_tmp):
    offered = set()
    for line in (COMPLETIONS / "_pfetch").read_text().splitlines():
        if not line.lstrip().startswith("'"):
            continue
        # What excludes others, (...), and what is explained, [...], aside.
        line = re.sub(r"\([^)]*\)|\[.*", "", line)
        offered |= {word.rstrip("+=") for word in
                    re.findall(r"-[-\w]+[+=]?", line)}
    same("_pfetch", options(), offered)


@tap.case
def the_fish_completion_has_each_option_and_no_other(_tmp):
    text = (COMPLETIONS / "pfetch.fish").read_text()
    offered = {"--" + name for name in re.findall(r" -l ([a-z0-9-]+)", text)}
    offered |= {"-" + letter for letter in re.findall(r" -s (\w)\b", text)}
    same("pfetch.fish", options(), offered)


@tap.case
def the_bash_completion_knows_which_options_take_a_value(_tmp):
    text = (COMPLETIONS / "pfetch.bash").read_text()
    cases = text[text.index("case $option in"):text.index("esac")]
    patterns = " ".join(re.findall(r"^    (-[^)]*)\)$",
                                   cases.replace("\\\n", ""), re.M))
    entries = help_entries()
    takes = {name for name, (_, takes, _) in entries.items() if takes}
    takes |= {"-" + entries[name][0] for name in takes if entries[name][0]}
    # --help has a value only as a separate word.
    same("pfetch.bash", takes | {"-h", "--help"}, words(patterns))


# --- README.md and HACKING.md ---------------------------------------------------

@tap.case
def the_readme_mentions_only_options_that_exist(_tmp):
    known = options()
    lines = [line for line in (TOP / "README.md").read_text().splitlines()
             if re.match(r"\s*(\$ )?(.*\| )?(scripts/quickstart|pfetch) ",
                         line)]
    assert lines, "no example was found"
    for line in lines:
        own = re.search(r"(scripts/quickstart|pfetch) .*", line).group()
        unknown = words(own.split(" | ")[0].split("#")[0]) - known
        assert not unknown, f"{' '.join(sorted(unknown))} in: {line}"


@tap.case
def the_source_map_is_the_listing(_tmp):
    text = (TOP / "HACKING.md").read_text()
    block = re.search(r"^## The map$.*?^```\n(.*?)^```", text, re.M | re.S)
    mapped, folder = set(), ""
    for line in block.group(1).splitlines():
        if line and not line.startswith(" "):
            folder = line.split()[0]
        elif re.match(r"  \S", line):
            mapped |= {folder + name.strip(",")
                       for name in re.match(r"  (\S+(?:, \S+)*)", line)
                       .group(1).split()}
    there = {str(path.relative_to(TOP)) for path in (TOP / "src").glob("*/*")
             if path.suffix in (".c", ".h")}
    # A header stands with the .c file of its name.
    there -= {name for name in there
              if name.endswith(".h") and name[:-1] + "c" in there}
    same("HACKING.md", there, mapped)


@tap.case
def the_program_in_the_readme_compiles(tmp):
    compiler = shutil.which(os.environ.get("CC", "cc").split()[0])
    if not compiler:
        tap.skip("no C compiler")
    text = (TOP / "README.md").read_text()
    source = tmp / "example.c"
    source.write_text(re.search(r"^```c\n(.*?)^```", text, re.M | re.S)
                      .group(1))
    done = subprocess.run(
        [compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror",
         "-fsyntax-only", "-I", TOP / "src/include", source],
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- packages -------------------------------------------------------------------

@tap.case
def the_packages_have_the_version_of_configure_ac(_tmp):
    def stated(path, pattern):
        text = (TOP / path).read_text()
        return re.search(pattern, text, re.M).group(1)

    version = stated("configure.ac", r"^AC_INIT\(\[pfetch\], \[(.*?)\]")
    found = {path: stated(path, pattern) for path, pattern in (
        ("NEWS", r"\Apfetch (\S+)"),
        ("scripts/packaging/debian/changelog", r"\Apfetch \((.*)-[^-]+\)"),
        ("scripts/packaging/pfetch.spec", r"^Version: +(\S+)"),
        ("scripts/packaging/pfetch.spec", r"^%changelog\n.* - (.*)-[^-]+$"),
        ("scripts/packaging/APKBUILD", r"^pkgver=(\S+)"),
        ("scripts/packaging/PKGBUILD", r"^pkgver=(\S+)"))}
    assert set(found.values()) == {version}, (version, found)


tap.main()

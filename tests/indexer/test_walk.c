/* test_walk.c: which files a walk meets, in which order, and what it says about the rest. */
#include "indexer/walk.h"
#include "scratch.h"

#include <sys/resource.h>

static char met[1 << 16], unreadable[8192], nomedia[256];
static int stop_after;

static bool on_folder(const indexer_folder *f, void *ctx) {
    for (size_t i = 0; i < f->n; i++) {
        struct stat st;
        assert_int_equal(fstatat(f->fd, f->files[i].name, &st, 0), 0);
        assert_int_equal(st.st_size, f->files[i].size);
        assert_int_equal(st.st_ino, f->files[i].inode);
        snprintf(met + strlen(met), sizeof met - strlen(met), "%s%s%s|", f->path, *f->path ? "/" : "", f->files[i].name);
    }
    return !stop_after || --stop_after;
}

static void on_unreadable(const char *path, const char *why, void *ctx) {
    assert_true(*why);
    snprintf(unreadable + strlen(unreadable), sizeof unreadable - strlen(unreadable), "%s|", path);
}

static void on_nomedia(const char *path, void *ctx) { snprintf(nomedia, sizeof nomedia, "%s", path); }

/* Walks the scratch folder; what was met is in `met`, each path followed by a bar. */
static indexer_walk_end walk(indexer_walk_options o) {
    int fd = open_scratch();
    met[0] = unreadable[0] = nomedia[0] = 0;
    o.root_fd = fd;
    if (!o.prefix) o.prefix = "";
    o.folder = on_folder; o.unreadable = on_unreadable; o.nomedia = on_nomedia;
    if (o.follow_symlinks) o.visited = indexer_visited_create();
    indexer_walk_end end = indexer_walk(&o);
    indexer_visited_destroy(o.visited);
    close(fd);
    return end;
}

static void files_come_in_order_of_bytes(void **state) {
    put_text("b.jpg", ""); put_text("a/2.jpg", ""); put_text("a/1.jpg", ""); put_text("B.jpg", ""); put_text("\xff.jpg", "");
    assert_int_equal(walk((indexer_walk_options){0}), INDEXER_WALK_DONE);
    assert_string_equal(met, "B.jpg|b.jpg|\xff.jpg|a/1.jpg|a/2.jpg|");
}

static void odd_names_are_names(void **state) {
    put_text("with space.jpg", ""); put_text("new\nline.jpg", ""); put_text("\x80\xfe", ""); put_text("\"'$`\\*.jpg", ""); put_text("-rf", "");
    walk((indexer_walk_options){0});
    assert_string_equal(met, "\"'$`\\*.jpg|-rf|new\nline.jpg|with space.jpg|\x80\xfe|");
}

static void hidden_files_need_asking(void **state) {
    put_text(".a.jpg", ""); put_text(".b/c.jpg", ""); put_text("d.jpg", "");
    walk((indexer_walk_options){0});
    assert_string_equal(met, "d.jpg|");
    walk((indexer_walk_options){.hidden = true});
    assert_string_equal(met, ".a.jpg|d.jpg|.b/c.jpg|");
}

static void system_folders_are_left_out(void **state) {
    put_text("@eaDir/a.jpg", ""); put_text("System Volume Information/a.jpg", ""); put_text("$RECYCLE.BIN/a.jpg", "");
    put_text(".git/a.jpg", ""); put_text("node_modules/a.jpg", ""); put_text("lost+found/a.jpg", ""); put_text(".Trash-1000/a.jpg", "");
    put_text("x/node_modules", "");
    walk((indexer_walk_options){.hidden = true});
    assert_string_equal(met, "x/node_modules|");
}

static void a_folder_with_nomedia_is_left_out_whole(void **state) {
    put_text("a/.nomedia", ""); put_text("a/x.jpg", ""); put_text("a/b/y.jpg", ""); put_text("z.jpg", "");
    walk((indexer_walk_options){0});
    assert_string_equal(met, "z.jpg|");
    assert_string_equal(nomedia, "a");
    walk((indexer_walk_options){.prefix = "a"});
    assert_string_equal(met, "");
}

static void ignore_files_rule_below_them(void **state) {
    put_text(".ignore", "*.png\nraw/\n"); put_text("a.png", ""); put_text("a.jpg", ""); put_text("raw/b.jpg", "");
    put_text("in/.ignore", "!*.png\n/only.jpg\n"); put_text("in/c.png", ""); put_text("in/only.jpg", ""); put_text("in/deep/only.jpg", "");
    put_text("out/d.png", "");
    walk((indexer_walk_options){0});
    assert_string_equal(met, "a.jpg|in/c.png|in/deep/only.jpg|");
    walk((indexer_walk_options){.prefix = "in/deep"}); /* inherited though the walk begins below */
    assert_string_equal(met, "in/deep/only.jpg|");
    walk((indexer_walk_options){.prefix = "out"});
    assert_string_equal(met, "");
}

static void an_exclude_cannot_be_taken_back_by_an_ignore_file(void **state) {
    indexer_ignore *x = indexer_ignore_create(NULL, 0);
    assert_true(indexer_ignore_add(x, "*.png", 5));
    put_text("in/.ignore", "!*.png"); put_text("in/a.png", ""); put_text("in/a.jpg", "");
    walk((indexer_walk_options){.excludes = x});
    indexer_ignore_destroy(x);
    assert_string_equal(met, "in/a.jpg|");
}

static void symbolic_links_are_passed_over(void **state) {
    put_text("real/a.jpg", ""); put_text("b.jpg", "");
    assert_int_equal(symlink("real", at("link")), 0);
    assert_int_equal(symlink("b.jpg", at("link.jpg")), 0);
    walk((indexer_walk_options){0});
    assert_string_equal(met, "b.jpg|real/a.jpg|");
}

static void followed_links_end_and_prefer_real_folders(void **state) {
    char outside[] = "/tmp/clipsearch-test-outside-XXXXXX", file[64];
    assert_non_null(mkdtemp(outside));
    snprintf(file, sizeof file, "%s/far.jpg", outside);
    close(open(file, O_CREAT | O_WRONLY, 0600));
    put_text("z/a.jpg", "");
    assert_int_equal(symlink("z", at("a-link")), 0);          /* sorts before what it names */
    assert_int_equal(symlink("..", at("z/up")), 0);           /* a loop */
    assert_int_equal(symlink("self", at("self")), 0);         /* goes nowhere */
    assert_int_equal(symlink("nothing", at("dangling")), 0);
    assert_int_equal(symlink("z/a.jpg", at("file.jpg")), 0);
    assert_int_equal(symlink(outside, at("far")), 0);
    assert_int_equal(symlink(outside, at("far2")), 0);        /* the same folder again */
    assert_int_equal(walk((indexer_walk_options){.follow_symlinks = true}), INDEXER_WALK_DONE);
    unlink(file);
    rmdir(outside);
    assert_string_equal(met, "file.jpg|z/a.jpg|far/far.jpg|");
}

static void pipes_and_sockets_are_no_files(void **state) {
    assert_int_equal(mkfifo(at("pipe.jpg"), 0600), 0);
    put_text("a.jpg", "");
    walk((indexer_walk_options){0});
    assert_string_equal(met, "a.jpg|");
}

static void a_pipe_named_ignore_does_not_hang(void **state) {
    assert_int_equal(mkfifo(at(".ignore"), 0600), 0);
    put_text("a.jpg", "");
    walk((indexer_walk_options){0});
    assert_string_equal(met, "a.jpg|");
}

static void an_unreadable_folder_is_told(void **state) {
    bool root = !geteuid();
    if (root) assert_int_equal(chown(scratch, 65534, 65534) || seteuid(65534), 0); /* root reads everything */
    put_text("shut/a.jpg", ""); put_text("b.jpg", "");
    assert_int_equal(chmod(at("shut"), 0), 0);
    walk((indexer_walk_options){0});
    chmod(at("shut"), 0700);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_string_equal(met, "b.jpg|");
    assert_string_equal(unreadable, "shut|");
}

/* Its names can be read, and nothing else of it. */
static void a_folder_that_may_not_be_entered_is_told(void **state) {
    bool root = !geteuid();
    if (root) assert_int_equal(chown(scratch, 65534, 65534) || seteuid(65534), 0);
    put_text("listed/a.jpg", ""); put_text("listed/b.jpg", ""); put_text("c.jpg", "");
    assert_int_equal(chmod(at("listed"), 0444), 0);
    walk((indexer_walk_options){0});
    chmod(at("listed"), 0700);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_string_equal(met, "c.jpg|");
    assert_string_equal(unreadable, "listed|");
}

/* What it leaves out might be what nobody may see. */
static void a_folder_whose_ignore_file_cannot_be_read_is_left_out(void **state) {
    put_text("in/a.jpg", ""); put_text("in/deep/b.jpg", ""); put_text("c.jpg", ""); put_text("none/.ignore/d.jpg", "");
    assert_int_equal(symlink(".ignore", at("in/.ignore")), 0); /* a link to itself */
    walk((indexer_walk_options){.hidden = true});
    assert_string_equal(met, "c.jpg|none/.ignore/d.jpg|");
    assert_string_equal(unreadable, "in|");
    walk((indexer_walk_options){.prefix = "in/deep"});
    assert_string_equal(met, "");
    assert_string_equal(unreadable, "in|");
    unlink(at("in/.ignore"));
    put_text("in/.ignore", "deep");
    walk((indexer_walk_options){0});
    assert_string_equal(met, "c.jpg|in/a.jpg|");
    assert_int_equal(truncate(at("in/.ignore"), (1 << 20) + 1), 0);
    walk((indexer_walk_options){0});
    assert_string_equal(met, "c.jpg|");
    assert_string_equal(unreadable, "in|");
}

/* Of a clock gone wrong; a sanitizer looks on. */
static void times_that_64_bits_do_not_hold_do_no_harm(void **state) {
    struct stat st;
    put_text("a.jpg", "");
    if (utimensat(AT_FDCWD, at("a.jpg"), (struct timespec[]){{1, 0}, {(time_t)10000000000, 5}}, 0) || stat(at("a.jpg"), &st)) return;
    walk((indexer_walk_options){0});
    assert_string_equal(met, "a.jpg|");
    if (st.st_mtim.tv_sec == 10000000000) assert_int_equal((uint64_t)indexer_mtime_ns(&st), 10000000000000000005u);
}

/* Makes `depth` folders called `name` one inside the other, with deep.jpg at `at_depth`, and removes them. */
static void nest(const char *name, int depth, int at_depth) {
    int fd = open_scratch();
    for (int i = 0; i < depth; i++) {
        assert_int_equal(mkdirat(fd, name, 0700), 0);
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY);
        assert_true(next >= 0);
        close(fd);
        fd = next;
        if (i == at_depth) close(openat(fd, "deep.jpg", O_CREAT | O_WRONLY, 0600));
    }
    close(fd);
}

static void unnest(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s/*", scratch);
    assert_int_equal(system(command), 0);
}

static void a_tree_deeper_than_files_may_be_open_is_walked(void **state) {
    struct rlimit before;
    nest("d", 200, 190);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before) || setrlimit(RLIMIT_NOFILE, &(struct rlimit){64, before.rlim_max}), 0);
    assert_int_equal(walk((indexer_walk_options){0}), INDEXER_WALK_DONE);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_non_null(strstr(met, "deep.jpg|"));
    assert_string_equal(unreadable, "");
    unnest();
}

static void a_path_longer_than_paths_may_be_is_told(void **state) {
    char name[251];
    memset(name, 'x', 250); name[250] = 0;
    nest(name, 20, 3);
    assert_int_equal(walk((indexer_walk_options){0}), INDEXER_WALK_DONE);
    assert_non_null(strstr(met, "deep.jpg|"));
    assert_true(strlen(unreadable) > 4000);
    unnest();
}

static void a_walk_stops_when_told(void **state) {
    put_text("a/1.jpg", ""); put_text("b/1.jpg", ""); put_text("c/1.jpg", "");
    stop_after = 2;
    assert_int_equal(walk((indexer_walk_options){0}), INDEXER_WALK_STOPPED);
    assert_string_equal(met, "a/1.jpg|");
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, scratch_make, scratch_remove)
    const struct CMUnitTest tests[] = {
        T(files_come_in_order_of_bytes), T(odd_names_are_names), T(hidden_files_need_asking), T(system_folders_are_left_out),
        T(a_folder_with_nomedia_is_left_out_whole), T(ignore_files_rule_below_them),
        T(an_exclude_cannot_be_taken_back_by_an_ignore_file), T(symbolic_links_are_passed_over),
        T(followed_links_end_and_prefer_real_folders), T(pipes_and_sockets_are_no_files), T(a_pipe_named_ignore_does_not_hang),
        T(an_unreadable_folder_is_told), T(a_folder_that_may_not_be_entered_is_told),
        T(a_folder_whose_ignore_file_cannot_be_read_is_left_out), T(times_that_64_bits_do_not_hold_do_no_harm), T(a_tree_deeper_than_files_may_be_open_is_walked),
        T(a_path_longer_than_paths_may_be_is_told), T(a_walk_stops_when_told),
    };
    return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}

/* medium.c: what kind of place a library lies on.
 *
 * SQLite's log needs memory that all its processes share, and a network file system cannot give it to two machines. So on
 * one the library is used by one process at a time: the writer keeps it to itself, a reader holds a shared lock on the
 * writer's lock file (which the network does carry) for as long as it is open. Magic numbers: statfs(2).
 *
 * FUSE carries both: sshfs and rclone as well as NTFS on a stick. What it is stands in /proc/self/mountinfo (proc(5)), where the
 * device number finds it: a block device is local, as are a few that lay one folder over another; all else may be a network. */
#include "store/library.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

enum { FUSE_MAGIC = 0x65735546 };

const char *medium_pretend; /* for tests: the answer of medium_of */

const char *medium_network_name(long statfs_type)
{
    static const struct { unsigned magic; const char *name; } known[] = {
        {0x6969, "NFS"},       {0x517b, "SMB"},    {0xff534d42, "CIFS"}, {0xfe534d42, "SMB"},  {0x564c, "NCP"},
        {0x01021997, "9P"},    {0x5346414f, "AFS"}, {0x6b414653, "AFS"},  {0x73757245, "Coda"}, {0x00c36400, "Ceph"},
        {0x0bd00bd0, "Lustre"}, {0x01161970, "GFS2"}, {0x7461636f, "OCFS2"}, {0x47504653, "GPFS"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].magic == (unsigned)statfs_type) return known[i].name;
    return NULL;
}

const char *medium_fuse_name(const char *type)
{
    static const char *const local[] = {"fuseblk", "fuse.ntfs-3g", "fuse.exfat", "fuse.mergerfs", "fuse.bindfs", "fuse.encfs",
        "fuse.gocryptfs", "fuse.cryfs", "fuse.fuse-overlayfs", "fuse.unionfs", "fuse.portal"};
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        if (strcmp(type, local[i]) == 0) return NULL;
    return "FUSE";
}

/* Lines such as "42 27 0:39 / /media/nas rw,relatime shared:1 - fuse.sshfs me@nas: rw". */
static const char *fuse_name(dev_t device)
{
    char line[4096], number[32], type[64] = "";
    FILE *f = fopen("/proc/self/mountinfo", "r");
    snprintf(number, sizeof number, "%u:%u", major(device), minor(device));
    while (f && !*type && fgets(line, sizeof line, f)) {
        char its[32];
        const char *rest = strstr(line, " - ");
        if (rest && sscanf(line, "%*s %*s %31s", its) == 1 && strcmp(its, number) == 0) sscanf(rest, " - %63s", type);
    }
    if (f) fclose(f);
    return medium_fuse_name(type);
}

/* False: there is no such file. */
static bool name_of(const char *path, const char **name)
{
    struct statfs f;
    struct stat st;
    if (statfs(path, &f)) return false;
    *name = (unsigned)f.f_type == FUSE_MAGIC && !stat(path, &st) ? fuse_name(st.st_dev) : medium_network_name((long)f.f_type);
    return true;
}

const char *medium_of(const char *path)
{
    const char *name = NULL;
    if (medium_pretend) return medium_pretend;
    if (name_of(path, &name)) return name;
    char *copy = strdup(path);
    if (copy) name_of(dirname(copy), &name);
    free(copy);
    return name;
}

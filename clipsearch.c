/* clipsearch.c: the front door. main(), the command table, nothing else. */
#include "cli/cli.h"
#include "indexer/indexer.h"
#include "query/query.h"

/* In the order in which help lists them. */
static const cli_command commands[] = {
    {"index", indexer_command_index},
    {"search", query_command_search},
    {"similar", query_command_similar},
    {"duplicates", query_command_duplicates},
    {"classify", query_command_classify},
    {"tag", query_command_tag},
    {"learn", query_command_learn},
    {"embed", query_command_embed},
    {"status", query_command_status},
    {"check", query_command_check},
    {"prune", query_command_prune},
    {"forget", query_command_forget},
    {"export", query_command_export},
    {"model", query_command_model},
    {"eval", query_command_eval},
    {0}};

int main(int argc, char **argv)
{
    return cli_main(commands, argc, argv);
}

/* query.h: the commands that ask a library or a model.
 *
 * The nouns
 *   term    one text or one image with a weight; a query is a weighted sum of their unit vectors
 *   filter  conditions on the photo's row, applied inside the search
 *   hit     a photo with its score
 *
 * Each command takes the shared command-line context and its own arguments (argv[0] is the command's name) and returns
 * the exit status: 0 found or done, 1 nothing found, 2 an error, which has then been reported on stderr. */
#ifndef QUERY_H
#define QUERY_H

struct cli;
int query_command_search(struct cli *c, int argc, char **argv);
int query_command_similar(struct cli *c, int argc, char **argv);
int query_command_duplicates(struct cli *c, int argc, char **argv);
int query_command_classify(struct cli *c, int argc, char **argv);
int query_command_tag(struct cli *c, int argc, char **argv);
int query_command_learn(struct cli *c, int argc, char **argv);
int query_command_embed(struct cli *c, int argc, char **argv);
int query_command_status(struct cli *c, int argc, char **argv);
int query_command_check(struct cli *c, int argc, char **argv);
int query_command_prune(struct cli *c, int argc, char **argv);
int query_command_forget(struct cli *c, int argc, char **argv);
int query_command_export(struct cli *c, int argc, char **argv);
int query_command_eval(struct cli *c, int argc, char **argv);
int query_command_model(struct cli *c, int argc, char **argv);

#endif

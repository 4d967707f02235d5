/*
 * graph_templates.c
 *		The SQL of operations on a graph's schema.
 *
 * A node type is a table whose primary key is the node's key.  A relationship
 * type is a table whose first columns are its two ends; its primary key is the
 * ends and the relationship's key.  Where the ends are nodes of known types,
 * they are foreign keys on those: an end is known by the name of its first
 * column, which begins with "from_" or "to_".
 *
 * Where an operation's document says all that is needed, the script is plain
 * DDL.  What only the database knows (a node type's key, the name of an index)
 * is looked up by the script as it runs, in a DO block, so that scripts can be
 * made before there is any table, and in another database.  Tables are named
 * without their schema: the search path of the run decides.  Under that path
 * the blocks must find what they mean, so they name functions with their
 * schema, and use operators only where pg_catalog has one for just these types.
 *
 * In a template {word} stands for what the caller has set: {type} and {part}
 * are names as they are quoted, {'type'} is a literal that regclass reads,
 * {'part'} a literal of the bare name.
 */
#include "postgres.h"

#include "graph_templates.h"

/* A table whose columns are known. */
const NbmGraphTemplate nbm_graph_create = {
	NULL,
	"CREATE TABLE {type} ({columns}{key}\n);"
};

/*
 * A relationship's table between two node types.  An end has a column for each
 * part of the node's key; it is called "id" if that is the only one.  Where a
 * node type has no key, the server says so.
 */
const NbmGraphTemplate nbm_graph_create_between = {
	"DECLARE\n"
	"  ends record;\n"
	"BEGIN\n"
	"  SELECT pg_catalog.string_agg(pg_catalog.format('%I %s', e.name, e.type), ', ' ORDER BY e.side, e.place) AS columns,\n"
	"         pg_catalog.string_agg(pg_catalog.quote_ident(e.name), ', ' ORDER BY e.place) FILTER (WHERE e.side = 1) AS one,\n"
	"         pg_catalog.string_agg(pg_catalog.quote_ident(e.name), ', ' ORDER BY e.place) FILTER (WHERE e.side = 2) AS other\n"
	"    INTO ends\n"
	"    FROM (SELECT n.side, pg_catalog.array_position(c.conkey, a.attnum) AS place,\n"
	"                 n.prefix || CASE WHEN pg_catalog.cardinality(c.conkey) > 1 THEN a.attname::text ELSE 'id' END AS name,\n"
	"                 coalesce(pg_catalog.format_type(a.atttypid, a.atttypmod), 'text') AS type\n"
	"            FROM (VALUES (1, 'from_', {'from_node_type'}::regclass),\n"
	"                         (2, 'to_', {'to_node_type'}::regclass)) AS n (side, prefix, type)\n"
	"            LEFT JOIN pg_catalog.pg_constraint AS c ON c.conrelid = n.type AND c.contype = 'p'\n"
	"            LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = n.type AND a.attnum = ANY (c.conkey)) AS e;\n"
	"  EXECUTE {'create'} || ends.columns || {'columns'} || ', PRIMARY KEY (' || ends.one || ', ' || ends.other || {'key'}\n"
	"    || '), FOREIGN KEY (' || ends.one || {'references from'} || ', FOREIGN KEY (' || ends.other || {'references to'} || ')';\n"
	"END",
	NULL
};

const NbmGraphTemplate nbm_graph_drop = {NULL, "DROP TABLE {type};"};

/* Relationships' ends lead nowhere from now on; all else must not need it. */
const NbmGraphTemplate nbm_graph_drop_node = {
	"DECLARE\n"
	"  link record;\n"
	"BEGIN\n"
	"  FOR link IN\n"
	"    SELECT c.conrelid::regclass AS source, c.conname\n"
	"      FROM pg_catalog.pg_constraint AS c\n"
	"      JOIN pg_catalog.pg_attribute AS f ON f.attrelid = c.conrelid AND f.attnum = c.conkey[1]\n"
	"     WHERE c.contype = 'f' AND c.confrelid = {'type'}::regclass AND f.attname ~ '^(from|to)_'\n"
	"  LOOP\n"
	"    EXECUTE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', link.source, link.conname);\n"
	"  END LOOP;\n"
	"END",
	"DROP TABLE {type};"
};

/* As ever in PostgreSQL, constraints and indexes keep their names. */
const NbmGraphTemplate nbm_graph_rename_type = {
	NULL,
	"ALTER TABLE {type} RENAME TO {new type};"
};

const NbmGraphTemplate nbm_graph_add_property = {
	NULL,
	"ALTER TABLE {type} ADD COLUMN {column};"
};

const NbmGraphTemplate nbm_graph_drop_property = {
	NULL,
	"ALTER TABLE {type} DROP COLUMN {part};"
};

const NbmGraphTemplate nbm_graph_rename_property = {
	NULL,
	"ALTER TABLE {type} RENAME COLUMN {part} TO {new part};"
};

const NbmGraphTemplate nbm_graph_add_index = {
	NULL,
	"CREATE INDEX ON {type} ({part});"
};

/*
 * The newest plain index on just this column.  It is not looked for by name,
 * as the type or the property may have had another one when it was made.
 */
const NbmGraphTemplate nbm_graph_drop_index = {
	"DECLARE\n"
	"  found regclass;\n"
	"BEGIN\n"
	"  SELECT x.indexrelid INTO found\n"
	"    FROM pg_catalog.pg_index AS x\n"
	"    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]\n"
	"   WHERE x.indrelid = {'type'}::regclass AND a.attname = {'part'}\n"
	"     AND x.indnatts = 1 AND NOT x.indisunique AND x.indpred IS NULL\n"
	"   ORDER BY x.indexrelid DESC LIMIT 1;\n"
	"  IF found IS NULL THEN\n"
	"    RAISE EXCEPTION 'there is no index on property \"%\" of type %', {'part'}, {'type'}\n"
	"      USING ERRCODE = 'undefined_object';\n"
	"  END IF;\n"
	"  EXECUTE pg_catalog.format('DROP INDEX %s', found);\n"
	"END",
	NULL
};

/*
 * What a change of a key is about, row by row: the ends of relationships that
 * lead to the type, and at last the type's own table, with no constraint.
 */
#define LINKS \
	"  FOR link IN\n" \
	"    SELECT c.conname, c.conkey[1] AS first, c.conrelid::regclass AS source,\n" \
	"           pg_catalog.substring(f.attname::text, '^(from_|to_)') || part AS added,\n" \
	"           pg_catalog.min(s.attname::text) FILTER (WHERE t.attname = part) AS removed,\n" \
	"           pg_catalog.string_agg(pg_catalog.quote_ident(s.attname), ', ' ORDER BY place) FILTER (WHERE t.attname <> part) AS columns,\n" \
	"           pg_catalog.string_agg(pg_catalog.quote_ident(t.attname), ', ' ORDER BY place) FILTER (WHERE t.attname <> part) AS keys,\n" \
	"           pg_catalog.string_agg(pg_catalog.format('t.%I = s.%I', t.attname, s.attname), ' AND ') AS same,\n" \
	"           pg_catalog.substring(pg_catalog.pg_get_constraintdef(c.oid), '[)]([^()]*)$') AS rules\n" \
	"      FROM pg_catalog.pg_constraint AS c\n" \
	"      JOIN pg_catalog.pg_index AS x ON x.indexrelid = c.conindid AND x.indisprimary\n" \
	"      JOIN pg_catalog.pg_attribute AS f ON f.attrelid = c.conrelid AND f.attnum = c.conkey[1]\n" \
	"      JOIN pg_catalog.pg_attribute AS s ON s.attrelid = c.conrelid AND s.attnum = ANY (c.conkey)\n" \
	"     CROSS JOIN pg_catalog.array_position(c.conkey, s.attnum) AS place\n" \
	"      JOIN pg_catalog.pg_attribute AS t ON t.attrelid = c.confrelid AND t.attnum = c.confkey[place]\n" \
	"     WHERE c.contype = 'f' AND c.confrelid = {'type'}::regclass AND f.attname ~ '^(from|to)_'\n" \
	"     GROUP BY c.oid, f.attname\n" \
	"     UNION ALL\n" \
	"    SELECT NULL, NULL, {'type'}::regclass, part, part, NULL, NULL, NULL, NULL\n" \
	"     ORDER BY conname NULLS LAST\n" \
	"  LOOP\n"

/* The columns of a primary key in its order, those that the filter lets pass. */
#define KEY_COLUMNS(filter) \
	"pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY pg_catalog.array_position(c.conkey, a.attnum))" filter

/* The primary key of the table at hand. */
#define FROM_KEY(condition) \
	"        FROM pg_catalog.pg_constraint AS c\n" \
	"        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)\n" \
	"       WHERE c.conrelid = link.source AND c.contype = 'p'" condition "\n" \
	"       GROUP BY c.oid)"

/*
 * A property becomes part of the key, and is added if it is not there, with a
 * comment by which the way back knows it.  Ends of relationships get a column
 * for it, filled from the nodes that they lead to; it becomes part of their
 * key if the end is.
 */
const NbmGraphTemplate nbm_graph_extend_key = {
	"#variable_conflict use_column\n"
	"DECLARE\n"
	"  part CONSTANT text := {'part'};\n"
	"  kind text := (SELECT pg_catalog.format_type(a.atttypid, a.atttypmod)\n"
	"                  FROM pg_catalog.pg_attribute AS a\n"
	"                 WHERE a.attrelid = {'type'}::regclass AND a.attname = {'part'});\n"
	"  link record;\n"
	"  refs text := '';\n"
	"BEGIN\n"
	"  IF kind IS NULL THEN\n"
	"    ALTER TABLE {type} ADD COLUMN {column} NOT NULL;\n"
	"    COMMENT ON COLUMN {type}.{part} IS 'Added as a part of the key';\n"
	"    kind := {'column type'};\n"
	"{fill}"
	"  END IF;\n"
	LINKS
	"    IF link.conname IS NOT NULL THEN\n"
	"      EXECUTE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I, ADD COLUMN %I %s', link.source, link.conname, link.added, kind);\n"
	"      EXECUTE pg_catalog.format('UPDATE %s AS s SET %I = t.%I FROM %s AS t WHERE %s',\n"
	"        link.source, link.added, part, {'type'}, link.same);\n"
	"      refs := refs || pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (%s, %I) REFERENCES %s (%s, %I)%s;',\n"
	"        link.source, link.conname, link.columns, link.added, {'type'}, link.keys, part, link.rules);\n"
	"    END IF;\n"
	"    EXECUTE coalesce(\n"
	"      (SELECT pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I PRIMARY KEY (%s, %I)', link.source, c.conname,\n"
	"                " KEY_COLUMNS("") ", link.added)\n"
	FROM_KEY(" AND coalesce(link.first = ANY (c.conkey), true)") ",\n"
	"      CASE WHEN link.conname IS NULL THEN pg_catalog.format('ALTER TABLE %s ADD PRIMARY KEY (%I)', link.source, part) ELSE '' END);\n"
	"  END LOOP;\n"
	"  EXECUTE refs;\n"
	"END",
	NULL
};

/* The same backwards: what was added goes, what was a property stays one. */
const NbmGraphTemplate nbm_graph_restore_key = {
	"#variable_conflict use_column\n"
	"DECLARE\n"
	"  part CONSTANT text := {'part'};\n"
	"  link record;\n"
	"  refs text := '';\n"
	"BEGIN\n"
	LINKS
	"    EXECUTE coalesce(\n"
	"      (SELECT pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', link.source, c.conname)\n"
	"                || coalesce(', ADD CONSTRAINT ' || pg_catalog.quote_ident(c.conname) || ' PRIMARY KEY ('\n"
	"                || " KEY_COLUMNS("\n                     FILTER (WHERE a.attname <> link.removed)") " || ')', '')\n"
	FROM_KEY("") ", '');\n"
	"    IF link.conname IS NOT NULL THEN\n"
	"      EXECUTE pg_catalog.format('ALTER TABLE %s DROP COLUMN %I', link.source, link.removed);\n"
	"      refs := refs || pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (%s) REFERENCES %s (%s)%s;',\n"
	"        link.source, link.conname, link.columns, {'type'}, link.keys, link.rules);\n"
	"    END IF;\n"
	"  END LOOP;\n"
	"  EXECUTE refs;\n"
	"  IF EXISTS (SELECT FROM pg_catalog.pg_attribute AS a\n"
	"              WHERE a.attrelid = {'type'}::regclass AND a.attname = part\n"
	"                AND pg_catalog.col_description(a.attrelid, a.attnum) = 'Added as a part of the key') THEN\n"
	"    ALTER TABLE {type} DROP COLUMN {part};\n"
	"  ELSE\n"
	"    ALTER TABLE {type} ALTER COLUMN {part} DROP NOT NULL;\n"
	"  END IF;\n"
	"END",
	NULL
};

/* Sets what {name} stands for; neither string is copied. */
void
nbm_graph_word(NbmGraphWords *words, const char *name, const char *value)
{
	Assert(words->count < NBM_GRAPH_WORDS);
	words->names[words->count] = name;
	words->values[words->count++] = value;
}

/* Adds the value of the word of len bytes that a template has at name. */
static void
put_word(StringInfo out, const NbmGraphWords *words, const char *name, int len)
{
	for (int i = 0; i < words->count; i++)
		if (strncmp(words->names[i], name, len) == 0 &&
			words->names[i][len] == '\0')
		{
			appendStringInfoString(out, words->values[i]);
			return;
		}
	elog(ERROR, "template has an unknown word \"%.*s\"", len, name);
}

/* Adds a template with its words. */
static void
expand(StringInfo out, const char *template, const NbmGraphWords *words)
{
	const char *brace;

	while ((brace = strchr(template, '{')) != NULL)
	{
		const char *end = strchr(brace, '}');

		appendBinaryStringInfo(out, template, brace - template);
		put_word(out, words, brace + 1, end - brace - 1);
		template = end + 1;
	}
	appendStringInfoString(out, template);
}

/* Adds a DO statement; its dollar quotes are none that the names in it have. */
static void
put_block(StringInfo out, const char *template, const NbmGraphWords *words)
{
	StringInfoData body;
	char	   *quote = "$do$";

	initStringInfo(&body);
	expand(&body, template, words);
	for (int i = 1; strstr(body.data, quote) != NULL; i++)
		quote = psprintf("$do%d$", i);
	appendStringInfo(out, "DO LANGUAGE plpgsql %s\n%s %s;", quote, body.data,
					 quote);
}

/* The script that a template makes of words, new memory. */
char *
nbm_graph_write(const NbmGraphTemplate *template, const NbmGraphWords *words)
{
	StringInfoData out;

	initStringInfo(&out);
	if (template->block != NULL)
		put_block(&out, template->block, words);
	if (template->block != NULL && template->statement != NULL)
		appendStringInfoChar(&out, '\n');
	if (template->statement != NULL)
		expand(&out, template->statement, words);
	return out.data;
}

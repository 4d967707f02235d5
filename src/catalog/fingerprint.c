/*
 * fingerprint.c
 *		All that the schemas of the database consist of, as lines.
 *
 * A line is an object and one thing that is to be said of it, without a number
 * that the server gave it: two catalogs are equal if their lines are.  Left out
 * are the server's own schemas, temporary tables, and this extension.
 *
 * Names are qualified, since nothing but pg_catalog is in the search path while
 * the queries run; which is also why these may name functions and operators as
 * they are.  They are few, and each reads a catalog as a whole: a plan kept for
 * the backend, and an answer in the order of nothing.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog_read.h"
#include "fingerprint.h"
#include "settings.h"

/* Lines of a difference that are told, and bytes of each. */
#define MAX_DIFF_LINES 40
#define MAX_LINE_BYTES 400

/* Schemas that are looked at. */
#define IN_SCHEMAS(column) \
	column " IN (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_'" \
	" AND nspname NOT IN ('information_schema', 'notebook_migrate'))"
/* Relations that are. */
#define IN_RELATIONS(column) \
	column " IN (SELECT oid FROM pg_class WHERE " IN_SCHEMAS("relnamespace") ")"
/* Objects without a schema that are. */
#define NOT_SHIPPED(column) column " >= 16384"
/* Options, in an order of their own; 15.20 keeps a number among a column's. */
#define SORTED(array) \
	"(SELECT string_agg(o::text, ', ' ORDER BY o::text COLLATE \"C\")" \
	" FROM unnest(" array ") o WHERE o::text NOT LIKE 'pg_attver=%')"
/* Rights; none granted are the usual ones. */
#define RIGHTS(acl, kind, owner) \
	SORTED("coalesce(" acl ", acldefault(" kind ", " owner "))")
#define OWNER(column) "' owner ', " column "::regrole"

/* Each gives lines, as one column. */
static const char *const queries[] =
{
	/* schemas */
	"SELECT concat('schema ', quote_ident(nspname), ':', " OWNER("nspowner")
	", ' rights ', " RIGHTS("nspacl", "'n'", "nspowner") ")"
	" FROM pg_namespace WHERE " IN_SCHEMAS("oid"),

	/* relations; a key's index is told with it, rows' types with their table */
	"SELECT concat(CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN"
	" 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN"
	" 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'f' THEN"
	" 'foreign table' ELSE 'composite type' END, ' ', c.oid::regclass, ':', "
	OWNER("relowner") ", ' persistence ', relpersistence, ' identity ',"
	" relreplident, CASE WHEN relrowsecurity THEN ' row security' END,"
	" CASE WHEN relforcerowsecurity THEN ' forced' END,"
	" ' method ' || a.amname, ' tablespace ' || t.spcname, ' of ' ||"
	" nullif(reloftype, 0)::regtype, ' options ' || " SORTED("reloptions") ","
	" ' partitioned by ' || pg_get_partkeydef(c.oid), ' bound ' ||"
	" pg_get_expr(relpartbound, c.oid), CASE WHEN relkind IN ('v', 'm') THEN"
	" ' as ' || pg_get_viewdef(c.oid) END, ' rights ', "
	RIGHTS("relacl", "CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\"",
		   "relowner") ")"
	" FROM pg_class c LEFT JOIN pg_am a ON a.oid = relam"
	" LEFT JOIN pg_tablespace t ON t.oid = reltablespace"
	" WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND "
	IN_SCHEMAS("relnamespace"),

	/* columns, by their place among those that are not dropped */
	"SELECT concat('column ', attrelid::regclass, '.', quote_ident(attname),"
	" ': ', row_number() OVER (PARTITION BY attrelid ORDER BY attnum), ' ',"
	" format_type(atttypid, atttypmod), ' collation ' ||"
	" nullif(attcollation, 0)::regcollation, CASE WHEN attnotnull THEN"
	" ' not null' END, ' identity ' || nullif(attidentity, '')::text, ' generated ' ||"
	" nullif(attgenerated, '')::text, ' default ' || pg_get_expr(adbin, adrelid),"
	" ' storage ', attstorage, ' compression ' || nullif(attcompression, '')::text,"
	" ' statistics ' || nullif(attstattarget, -1), CASE WHEN attinhcount > 0 THEN"
	" CASE WHEN attislocal THEN ' inherited, local' ELSE ' inherited' END END,"
	" ' options ' || " SORTED("attoptions") ", ' foreign options ' || "
	SORTED("attfdwoptions") ", ' rights ' || " SORTED("attacl") ")"
	" FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid"
	" AND adnum = attnum WHERE attnum > 0 AND NOT attisdropped AND"
	" attrelid IN (SELECT oid FROM pg_class WHERE relkind IN"
	" ('r', 'p', 'v', 'm', 'f', 'c') AND " IN_SCHEMAS("relnamespace") ")",

	/* inheritance */
	"SELECT concat('table ', inhrelid::regclass, ': parent ', inhseqno, ' ',"
	" inhparent::regclass) FROM pg_inherits WHERE " IN_RELATIONS("inhrelid"),

	/* sequences, but for what they have counted */
	"SELECT concat('sequence ', seqrelid::regclass, ': ', seqtypid::regtype,"
	" ' start ', seqstart, ' by ', seqincrement, ' from ', seqmin, ' to ',"
	" seqmax, ' cache ', seqcache, CASE WHEN seqcycle THEN ' cycle' END,"
	" ' owned by ' || d.refobjid::regclass || '.' || quote_ident(attname))"
	" FROM pg_sequence LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass"
	" AND d.objid = seqrelid AND d.objsubid = 0 AND d.deptype IN ('a', 'i')"
	" AND d.refclassid = 'pg_class'::regclass"
	" LEFT JOIN pg_attribute ON attrelid = d.refobjid AND attnum = d.refobjsubid"
	" WHERE " IN_RELATIONS("seqrelid"),

	/* indexes */
	"SELECT concat('index ', indexrelid::regclass, ': ',"
	" pg_get_indexdef(indexrelid), CASE WHEN NOT indisvalid THEN ' invalid' END,"
	" CASE WHEN indisclustered THEN ' clustered' END, CASE WHEN indisreplident"
	" THEN ' identity' END, ' tablespace ' || spcname, ' statistics ' || targets)"
	" FROM pg_index JOIN pg_class c ON c.oid = indexrelid"
	" LEFT JOIN pg_tablespace t ON t.oid = reltablespace"
	" LEFT JOIN (SELECT attrelid, string_agg(attnum || ':' || attstattarget, ' '"
	" ORDER BY attnum) AS targets FROM pg_attribute WHERE attnum > 0"
	" AND attstattarget >= 0 GROUP BY attrelid) s ON attrelid = indexrelid WHERE "
	IN_SCHEMAS("relnamespace"),

	/* constraints; that a column is not null stands with it */
	"SELECT concat('constraint ', quote_ident(conname), ' of ', CASE WHEN"
	" conrelid <> 0 THEN conrelid::regclass::text ELSE contypid::regtype::text"
	" END, ': ', pg_get_constraintdef(oid), ' index ' ||"
	" nullif(conindid, 0)::regclass, CASE WHEN NOT convalidated THEN"
	" ' not valid' END, CASE WHEN coninhcount > 0 THEN ' inherited' END)"
	" FROM pg_constraint WHERE contype <> ALL ('{t,n}') AND "
	IN_SCHEMAS("connamespace"),

	/* triggers, rules and policies */
	"SELECT concat('trigger ', quote_ident(tgname), ' of ', tgrelid::regclass,"
	" ': ', pg_get_triggerdef(oid), ' enabled ', tgenabled) FROM pg_trigger"
	" WHERE NOT tgisinternal AND " IN_RELATIONS("tgrelid"),
	"SELECT concat('rule ', quote_ident(rulename), ' of ', ev_class::regclass,"
	" ': ', pg_get_ruledef(oid), ' enabled ', ev_enabled) FROM pg_rewrite"
	" WHERE rulename <> '_RETURN' AND " IN_RELATIONS("ev_class"),
	"SELECT concat('policy ', quote_ident(polname), ' of ', polrelid::regclass,"
	" ': ', polcmd, CASE WHEN NOT polpermissive THEN ' restrictive' END, ' to ', "
	SORTED("polroles::regrole[]") ", ' using ' || pg_get_expr(polqual, polrelid),"
	" ' check ' || pg_get_expr(polwithcheck, polrelid)) FROM pg_policy WHERE "
	IN_RELATIONS("polrelid"),

	/* statistics */
	"SELECT concat('statistics ', stxnamespace::regnamespace, '.',"
	" quote_ident(stxname), ': ', pg_get_statisticsobjdef(oid), ' target ' || coalesce(stxstattarget, -1), "
	OWNER("stxowner") ") FROM pg_statistic_ext WHERE "
	IN_SCHEMAS("stxnamespace"),

	/* functions, by a digest: theirs are long */
	"SELECT concat(CASE prokind WHEN 'p' THEN 'procedure ' ELSE 'function ' END,"
	" oid::regprocedure, ': ', md5(pg_get_functiondef(oid)), " OWNER("proowner")
	", ' rights ', " RIGHTS("proacl", "'f'", "proowner") ") FROM pg_proc"
	" WHERE prokind <> 'a' AND " IN_SCHEMAS("pronamespace"),
	"SELECT concat('aggregate ', aggfnoid::regprocedure, ': ', aggkind, ' ',"
	" aggnumdirectargs, ' ', prorettype::regtype, ' ', proparallel, ' ',"
	" ROW(aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn,"
	" aggmtransfn, aggminvtransfn, aggmfinalfn, aggfinalextra, aggmfinalextra,"
	" aggfinalmodify, aggmfinalmodify, aggsortop::regoperator,"
	" aggtranstype::regtype, aggtransspace, aggmtranstype::regtype,"
	" aggmtransspace, agginitval, aggminitval), " OWNER("proowner")
	", ' rights ', " RIGHTS("proacl", "'f'", "proowner") ") FROM pg_aggregate"
	" JOIN pg_proc p ON p.oid = aggfnoid WHERE " IN_SCHEMAS("pronamespace"),

	/* types */
	"SELECT concat('type ', t.oid::regtype, ': ', typtype, CASE typtype WHEN 'b'"
	" THEN ' ' || ROW(typlen, typbyval, typcategory, typispreferred, typdelim,"
	" typelem::regtype, typinput, typoutput, typreceive, typsend, typmodin,"
	" typmodout, typanalyze, typsubscript, typalign, typstorage)::text END,"
	" ' base ' || format_type(nullif(typbasetype, 0), typtypmod), CASE WHEN"
	" typnotnull THEN ' not null' END, ' default ' || typdefault, ' collation '"
	" || nullif(typcollation, 0)::regcollation, ' labels ' ||"
	" (SELECT string_agg(quote_literal(enumlabel), ' ' ORDER BY enumsortorder)"
	" FROM pg_enum WHERE enumtypid = t.oid), ' range ' ||"
	" (SELECT concat(rngsubtype::regtype, ' ', nullif(rngcollation,"
	" 0)::regcollation, ' ', opcname, ' ', rngcanonical, ' ', rngsubdiff, ' ',"
	" rngmultitypid::regtype) FROM pg_range JOIN pg_opclass o ON o.oid = rngsubopc"
	" WHERE rngtypid = t.oid), " OWNER("typowner") ", ' rights ', "
	RIGHTS("typacl", "'T'", "typowner") ") FROM pg_type t WHERE typrelid = 0"
	" AND typtype <> 'm' AND NOT EXISTS (SELECT FROM pg_type e"
	" WHERE e.typarray = t.oid) AND " IN_SCHEMAS("typnamespace"),

	/* operators and what they are of */
	"SELECT concat('operator ', o.oid::regoperator, ': ', oprkind, ' ',"
	" oprresult::regtype, ' ', oprcode, ' ', nullif(oprcom, 0)::regoperator, ' ',"
	" nullif(oprnegate, 0)::regoperator, ' ', oprrest, ' ', oprjoin, ' ',"
	" oprcanmerge, oprcanhash, " OWNER("oprowner") ") FROM pg_operator o WHERE "
	IN_SCHEMAS("oprnamespace"),
	"SELECT concat('operator class ', opcnamespace::regnamespace, '.',"
	" quote_ident(opcname), ' using ', amname, ': ', opcintype::regtype, ' ',"
	" opcdefault, ' ', nullif(opckeytype, 0)::regtype, ' ', opfname, "
	OWNER("opcowner") ") FROM pg_opclass JOIN pg_am a ON a.oid = opcmethod"
	" JOIN pg_opfamily f ON f.oid = opcfamily WHERE " IN_SCHEMAS("opcnamespace"),
	"SELECT concat('operator family ', opfnamespace::regnamespace, '.',"
	" quote_ident(opfname), ' using ', amname, ':', " OWNER("opfowner") ", ' ',"
	" (SELECT string_agg(m, ', ' ORDER BY m COLLATE \"C\") FROM"
	" (SELECT concat_ws(' ', amopstrategy, amoppurpose, amopopr::regoperator)"
	" FROM pg_amop WHERE amopfamily = f.oid UNION ALL"
	" SELECT concat_ws(' ', amprocnum, amproc::regprocedure,"
	" amproclefttype::regtype, amprocrighttype::regtype) FROM pg_amproc"
	" WHERE amprocfamily = f.oid) AS members (m))) FROM pg_opfamily f"
	" JOIN pg_am a ON a.oid = opfmethod WHERE " IN_SCHEMAS("opfnamespace"),
	"SELECT concat('cast ', castsource::regtype, ' as ', casttarget::regtype,"
	" ': ', nullif(castfunc, 0)::regprocedure, ' ', castcontext, castmethod)"
	" FROM pg_cast WHERE " NOT_SHIPPED("oid"),

	/* languages: of people and of programs */
	"SELECT concat('collation ', oid::regcollation, ': ', to_jsonb(c) - '{oid,"
	" collnamespace, collowner, collname, collversion}'::text[], "
	OWNER("collowner") ") FROM pg_collation c WHERE "
	IN_SCHEMAS("collnamespace"),
	"SELECT concat('conversion ', connamespace::regnamespace, '.',"
	" quote_ident(conname), ': ', conforencoding, ' ', contoencoding, ' ',"
	" conproc, ' ', condefault, " OWNER("conowner") ") FROM pg_conversion WHERE "
	IN_SCHEMAS("connamespace"),
	"SELECT concat('text search configuration ', c.oid::regconfig, ': ',"
	" prsname, ' ', (SELECT string_agg(concat(maptokentype, ':', mapseqno, ':',"
	" mapdict::regdictionary), ' ' ORDER BY maptokentype, mapseqno)"
	" FROM pg_ts_config_map WHERE mapcfg = c.oid), " OWNER("cfgowner") ")"
	" FROM pg_ts_config c JOIN pg_ts_parser p ON p.oid = cfgparser WHERE "
	IN_SCHEMAS("cfgnamespace"),
	"SELECT concat('text search dictionary ', d.oid::regdictionary, ': ',"
	" tmplname, ' ', dictinitoption, " OWNER("dictowner") ") FROM pg_ts_dict d"
	" JOIN pg_ts_template t ON t.oid = dicttemplate WHERE "
	IN_SCHEMAS("dictnamespace"),
	"SELECT concat('text search parser ', quote_ident(nspname), '.',"
	" quote_ident(prsname), ': ', prsstart, ' ', prstoken, ' ', prsend, ' ',"
	" prsheadline, ' ', prslextype) FROM pg_ts_parser"
	" JOIN pg_namespace n ON n.oid = prsnamespace WHERE "
	IN_SCHEMAS("prsnamespace"),
	"SELECT concat('text search template ', quote_ident(nspname), '.',"
	" quote_ident(tmplname), ': ', tmplinit, ' ', tmpllexize) FROM pg_ts_template"
	" JOIN pg_namespace n ON n.oid = tmplnamespace WHERE "
	IN_SCHEMAS("tmplnamespace"),
	"SELECT concat('language ', quote_ident(lanname), ': ', lanpltrusted, ' ',"
	" lanplcallfoid::regproc, ' ', laninline::regproc, ' ',"
	" lanvalidator::regproc, " OWNER("lanowner") ", ' rights ', "
	RIGHTS("lanacl", "'l'", "lanowner") ") FROM pg_language WHERE "
	NOT_SHIPPED("oid"),
	"SELECT concat('transform for ', trftype::regtype, ' language ', lanname,"
	" ': ', trffromsql, ' ', trftosql) FROM pg_transform"
	" JOIN pg_language l ON l.oid = trflang",

	/* what else the database has */
	"SELECT concat('extension ', quote_ident(extname), ': ', extversion, ' ',"
	" extnamespace::regnamespace, " OWNER("extowner") ") FROM pg_extension"
	" WHERE extname <> 'notebook_migrate'",
	"SELECT concat('access method ', quote_ident(amname), ': ', amtype, ' ',"
	" amhandler) FROM pg_am WHERE " NOT_SHIPPED("oid"),
	"SELECT concat('event trigger ', quote_ident(evtname), ': ', evtevent, ' ',"
	" evtfoid::regproc, ' ', evtenabled, ' ', evttags, " OWNER("evtowner") ")"
	" FROM pg_event_trigger",
	"SELECT concat('publication ', quote_ident(pubname), ': ', to_jsonb(p) -"
	" '{oid, pubname, pubowner}'::text[], " OWNER("pubowner") ")"
	" FROM pg_publication p",
	"SELECT concat('publication ', quote_ident(pubname), ': ',"
	" prrelid::regclass, ' ', prattrs, ' ', pg_get_expr(prqual, prrelid))"
	" FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid",
	"SELECT concat('publication ', quote_ident(pubname), ': ',"
	" pnnspid::regnamespace) FROM pg_publication_namespace"
	" JOIN pg_publication p ON p.oid = pnpubid",
	"SELECT concat('subscription ', quote_ident(subname), ': ', subenabled, ' ',"
	" subbinary, ' ', substream, ' ', subslotname, ' ', subsynccommit, ' ',"
	" subpublications, " OWNER("subowner") ") FROM pg_subscription WHERE subdbid ="
	" (SELECT oid FROM pg_database WHERE datname = current_database())",
	"SELECT concat('foreign-data wrapper ', quote_ident(fdwname), ': ',"
	" fdwhandler::regproc, ' ', fdwvalidator::regproc, ' ', " SORTED("fdwoptions")
	", " OWNER("fdwowner") ", ' rights ', " RIGHTS("fdwacl", "'F'", "fdwowner")
	") FROM pg_foreign_data_wrapper",
	"SELECT concat('server ', quote_ident(srvname), ': ', fdwname, ' ', srvtype,"
	" ' ', srvversion, ' ', " SORTED("srvoptions") ", " OWNER("srvowner")
	", ' rights ', " RIGHTS("srvacl", "'S'", "srvowner") ")"
	" FROM pg_foreign_server JOIN pg_foreign_data_wrapper w ON w.oid = srvfdw",
	"SELECT concat('user mapping ', usename, ' server ', quote_ident(srvname),"
	" ': ', " SORTED("umoptions") ") FROM pg_user_mappings",
	"SELECT concat('foreign table ', ftrelid::regclass, ': server ',"
	" quote_ident(srvname), ' ', " SORTED("ftoptions") ") FROM pg_foreign_table"
	" JOIN pg_foreign_server s ON s.oid = ftserver",
	"SELECT concat('default rights of ', defaclrole::regrole, ' in ',"
	" nullif(defaclnamespace, 0)::regnamespace, ' on ', defaclobjtype, ': ', "
	SORTED("defaclacl") ") FROM pg_default_acl",
	"SELECT concat('settings of ', nullif(setrole, 0)::regrole, ': ', "
	SORTED("setconfig") ") FROM pg_db_role_setting WHERE setdatabase ="
	" (SELECT oid FROM pg_database WHERE datname = current_database())",

	/* what is said of all of these */
	"SELECT concat('comment on ', what, ': ', description) FROM pg_description,"
	" pg_describe_object(classoid, objoid, objsubid) AS what WHERE ("
	NOT_SHIPPED("objoid") " OR " IN_SCHEMAS("objoid") ") AND"
	" what !~ ' notebook_migrate(\\.|$)'",
	"SELECT concat('label on ', pg_describe_object(classoid, objoid, objsubid),"
	" ' by ', provider, ': ', label) FROM pg_seclabel",
};

/* Their plans, kept as long as the backend lasts. */
static SPIPlanPtr plans[lengthof(queries)];

/* A growing array of lines. */
typedef struct Lines
{
	NbmFingerprint found;
	int			room;
	MemoryContext context;
} Lines;

/* The plan of a query. */
static SPIPlanPtr
plan_of(int query)
{
	if (plans[query] == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare(queries[query], 0, NULL);

		if (plan == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", queries[query],
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
		plans[query] = plan;
	}
	return plans[query];
}

/* Adds what a query finds. */
static void
add_lines(Lines *lines, int query)
{
	SPITupleTable *table;

	if (SPI_execute_plan(plan_of(query), NULL, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the catalog");
	table = SPI_tuptable;
	for (uint64 i = 0; i < table->numvals; i++)
	{
		char	   *line = SPI_getvalue(table->vals[i], table->tupdesc, 1);

		if (lines->found.count == lines->room)
		{
			lines->room *= 2;
			lines->found.lines = repalloc_huge(lines->found.lines,
											   mul_size(sizeof(char *), lines->room));
		}
		lines->found.lines[lines->found.count++] =
			MemoryContextStrdup(lines->context, line);
		pfree(line);
	}
	SPI_freetuptable(table);
}

/* Adds what all queries find. */
static void
add_all_lines(void *arg)
{
	Lines	   *lines = arg;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	for (int i = 0; i < lengthof(queries); i++)
		add_lines(lines, i);
	SPI_finish();
}

/* qsort: by bytes. */
static int
compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/*
 * What the schemas consist of, as this transaction sees them by now; memory of
 * the current context.  Raises 40001 where others drop what is being read.
 */
NbmFingerprint
nbm_fingerprint(void)
{
	Lines		lines = {{NULL, 0}, 1024, CurrentMemoryContext};
	int			level = NewGUCNestLevel();

	lines.found.lines = palloc_array(char *, lines.room);
	nbm_setting_pin_path();
	nbm_read_catalogs(add_all_lines, &lines);
	AtEOXact_GUC(false, level);
	qsort(lines.found.lines, lines.found.count, sizeof(char *), compare_lines);
	return lines.found;
}

/* A line that only one of two has. */
typedef struct Difference
{
	const char *line;
	char		sign;
} Difference;

/* qsort: by the object, then what it was before what it is. */
static int
compare_differences(const void *a, const void *b)
{
	const Difference *x = a;
	const Difference *y = b;
	size_t		x_len = strcspn(x->line, ":");
	size_t		y_len = strcspn(y->line, ":");
	int			order = memcmp(x->line, y->line, Min(x_len, y_len));

	if (order == 0)
		order = (x_len > y_len) - (x_len < y_len);
	if (order == 0)
		order = (x->sign == '+') - (y->sign == '+');
	return order != 0 ? order : strcmp(x->line, y->line);
}

/* Adds a line to the text of a difference. */
static void
write_difference(StringInfo out, const Difference *difference)
{
	const char *line = difference->line;
	int			len = strlen(line);

	if (out->len > 0)
		appendStringInfoChar(out, '\n');
	appendStringInfo(out, "%c ", difference->sign);
	if (len <= MAX_LINE_BYTES)
		appendStringInfoString(out, line);
	else
	{
		appendBinaryStringInfo(out, line,
							   pg_mbcliplen(line, len, MAX_LINE_BYTES));
		appendStringInfoString(out, "...");
	}
}

/*
 * How two differ: "- " and "+ " before the lines that only one of them has, by
 * object, and how many more there are.  NULL where they do not.  Memory of the
 * current context.
 */
char *
nbm_fingerprint_diff(const NbmFingerprint *before, const NbmFingerprint *after)
{
	Difference *all = palloc_extended(sizeof(Difference) *
									  (before->count + after->count + 1),
									  MCXT_ALLOC_HUGE);
	StringInfoData out;
	int			count = 0;
	int			i = 0;
	int			j = 0;

	while (i < before->count || j < after->count)
	{
		int			order = i == before->count ? 1 : j == after->count ? -1 :
		strcmp(before->lines[i], after->lines[j]);

		if (order != 0)
		{
			all[count].sign = order < 0 ? '-' : '+';
			all[count++].line = order < 0 ? before->lines[i] : after->lines[j];
		}
		i += order <= 0;
		j += order >= 0;
	}
	qsort(all, count, sizeof(Difference), compare_differences);
	initStringInfo(&out);
	for (int k = 0; k < Min(count, MAX_DIFF_LINES); k++)
		write_difference(&out, &all[k]);
	if (count > MAX_DIFF_LINES)
		appendStringInfo(&out, "\nand %d more", count - MAX_DIFF_LINES);
	pfree(all);
	return count > 0 ? out.data : NULL;
}

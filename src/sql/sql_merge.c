/*
 * sql_merge.c
 *		SQL entry points that merge documents.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"

#include "args.h"
#include "commit.h"
#include "merge.h"
#include "merge_report.h"

/* The strategy that an argument names; raises 22004 and 22023. */
static NbmMergeStrategy
arg_strategy(FunctionCallInfo fcinfo, int number)
{
	static const char *const names[] = {
		[NBM_STRATEGY_CONFLICT] = "conflict",
		[NBM_STRATEGY_MARK] = "mark",
		[NBM_STRATEGY_OURS] = "ours",
		[NBM_STRATEGY_THEIRS] = "theirs",
	};
	char	   *name;

	nbm_require_arg(fcinfo, number, "strategy");
	name = nbm_arg_text(fcinfo, number);
	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown merge strategy \"%s\"", name),
			 errhint("Strategies are \"conflict\", \"mark\", \"ours\" and \"theirs\".")));
}

/* notebook_merge(base, ours, theirs, strategy) -> content, conflicts */
static Datum
merge(FunctionCallInfo fcinfo, const NbmKind *kind)
{
	static const char *const names[] = {"base", "ours", "theirs"};
	NbmMergeInput input;
	NbmMergeResult result;
	NbmMergeStrategy strategy;
	ReturnSetInfo *set;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		nbm_require_arg(fcinfo, s, names[s]);
		input.contents[s] = PG_GETARG_JSONB_P(s);
		nbm_check_size(names[s], input.contents[s]);
		input.names[s] = psprintf("argument \"%s\"", names[s]);
	}
	strategy = arg_strategy(fcinfo, 3);
	InitMaterializedSRF(fcinfo, 0);
	set = (ReturnSetInfo *) fcinfo->resultinfo;
	result = nbm_merge_documents(kind, &input, strategy);
	values[0] = JsonbPGetDatum(result.content);
	values[1] = JsonbPGetDatum(nbm_conflicts_to_jsonb(result.conflicts,
													  result.nconflicts));
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	return (Datum) 0;
}

NBM_FOR_BOTH_KINDS(merge);

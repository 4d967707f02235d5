# NotebookMaker: the bench's synthetic notebook, its edits and its workflow, the
# same for the same seed on every machine.
#
# By default 200 cells of nbformat 4.5 with ids and metadata.uuid, two thirds of
# them code, 2 MB of JSON: half of it base64 images (random bytes, so that no
# compression helps), the rest sources of 0.3 to 3 kB a cell and text, stream
# and HTML outputs.  `small` makes cells of a few lines without outputs, `source`
# says of how many bytes these are.

package NotebookMaker;

use v5.36;
use utf8;
use JSON::PP;
use List::Util   qw(sum0);
use MIME::Base64 qw(encode_base64);

my $TEXT_BYTES  = 1_000_000;                        # sources and outputs but for images
my $IMAGE_BYTES = 1_000_000;                        # base64
my $JSON        = JSON::PP->new->utf8->canonical;

my @CODE = (
	'import %w as %w',
	'from %w.%w import %w, %w',
	'%w = pd.read_csv("data/%w_%n.csv", sep=";")',
	'%w = %w.groupby("%w")["%w"].mean()',
	'for %w in range(%n):',
	'    %w.append(%w[%n] * %f + %w)',
	'    if %w["%w"] > %f and not %w.empty:',
	'        %w = np.where(%w < %f, %w, %n)',
	'def %w(%w, %w=%n, *, %w=None):',
	'    """%w the %w of %w, %w and %w."""',
	'    return %w(%w, %w).reshape(-1, %n)',
	'plt.plot(%w["%w"], %w["%w"], label="%w %n", alpha=%f)',
	'%w = %w.merge(%w, on=["%w", "%w"], how="left")',
	'# %w %w %w: %w %w %w %w',
	'print(f"{%w:.3f} %w of {%w} %w, %n %w")',
	'assert %w.shape == (%n, %n), %w',
	'',
	'%w, %w = train_test_split(%w, %w, test_size=%f)',);
my @PROSE = (
	'## %w %w %w',
	'The %w of %w is %f, while %w %w the %w by %n %w – see [%w](https://example.org/%w/%n).',
	'* **%w** %w %w, `%w.%w(%n)`: %w %w naïve %w',
	'%w %w %w %w $\\alpha_{%n} = %f$ %w %w, %w %w %w %w.',
	'',);

# Options: seed, cells, small, source.
sub new ($class, %option)
{
	my $self = bless { cells => 200, %option }, $class;

	$self->{state} = $option{seed};
	$self->{words} = [ map { $self->_word } 1 .. 600 ];
	$self->{cell}  = [ map { $self->_cell($_) } 0 .. $self->{cells} - 1 ];
	$self->_fill_outputs if !$self->{small};
	$self->{pristine} = [ map { $JSON->encode($_) } $self->{cell}->@* ];
	return $self->reset;
}

# Undoes all edits.  Returns itself, as edit() does.
sub reset ($self)
{
	$self->{text} = [ $self->{pristine}->@* ];
	return $self;
}

# The document as JSON text in UTF-8.
sub text ($self)
{
	my $envelope = $JSON->encode({
		nbformat       => 4,
		nbformat_minor => 5,
		metadata       => {
			kernelspec => { display_name => 'Python 3', language => 'python', name => 'python3' },
			language_info => {
				name           => 'python',
				version        => '3.11.4',
				mimetype       => 'text/x-python',
				file_extension => '.py' } } });

	return '{"cells":[' . join(',', $self->{text}->@*) . '],' . substr $envelope, 1;
}

sub json ($self, $value) { return $JSON->encode($value) }

sub code_cell_ids ($self)
{
	return map { $_->{metadata}{uuid} } grep { $_->{cell_type} eq 'code' } $self->{cell}->@*;
}

# Edit number $i: (cell's position, line's position, cell's uuid, new line).
# It depends on the seed and on $i only, and never hits a cell's last line.
sub planned_edit ($self, $i)
{
	local $self->{state} = $self->{seed} + 7_919 * ($i & 0xffff);
	$self->_random(1), $self->{state} ^= $self->{state} >> 15 for 1 .. 3;
	my @code     = grep { $self->{cell}[$_]{cell_type} eq 'code' } 0 .. $self->{cells} - 1;
	my $position = $code[ $self->_random(scalar @code) ];
	my $cell     = $self->{cell}[$position];

	return (
		$position,
		$self->_random($cell->{source}->$#*),
		$cell->{metadata}{uuid},
		$self->_new_line($i));
}

# Applies edit number $i to text().
sub edit ($self, $i)
{
	my ($position, $line, undef, $value) = $self->planned_edit($i);

	return $self->_replace_line($position, $line, $value);
}

# Changes the first line of a given cell.
sub edit_cell ($self, $position, $i)
{
	return $self->_replace_line($position, 0, $self->_new_line($i));
}

# Cuts a cell in two: the second part, a third of the lines, becomes a cell of
# its own behind it, with new ids.
sub split_cell ($self, $position)
{
	my $cell = $JSON->decode($self->{text}[$position]);
	my $rest = $JSON->decode($self->{text}[$position]);
	my $line = int @{ $cell->{source} } * 2 / 3;

	$rest->{source} = [ splice $cell->{source}->@*, $line ];
	$rest->{id}     = $self->_hex(8);
	$rest->{metadata}{uuid} = join '-', map { $self->_hex($_) } 8, 4, 4, 4, 12;
	$rest->{outputs} = [] if $rest->{outputs};
	splice $self->{text}->@*, $position, 1, $JSON->encode($cell), $JSON->encode($rest);
	return $self;
}

# Where the code cells with at least $lines lines stand in a document without edits.
sub code_positions ($self, $lines)
{
	my $cell = $self->{cell};

	return
	  grep { $cell->[$_]{cell_type} eq 'code' && $cell->[$_]{source}->@* >= $lines }
	  0 .. $cell->$#*;
}

# A Texera workflow whose operators op-0 … are a chain with some branches.
sub workflow ($self, $count)
{
	my (@operators, @links, %positions);

	for my $i (0 .. $count - 1)
	{
		push @operators,
		  { operatorID         => "op-$i",
			operatorType       => $i ? 'PythonUDFV2' : 'CSVFileScan',
			operatorVersion    => 'bench',
			operatorProperties => {
				code               => join('', $self->_lines(1_500, @CODE)),
				workers            => 1,
				retainInputColumns => JSON::PP::true,
				limit              => 0 },
			inputPorts => $i
			? [ {
				portID           => 'input-0',
				displayName      => '',
				allowMultiInputs => JSON::PP::true,
				isDynamicPort    => JSON::PP::false } ]
			: [],
			outputPorts => [ {
				portID           => 'output-0',
				displayName      => '',
				allowMultiInputs => JSON::PP::false,
				isDynamicPort    => JSON::PP::false } ],
			showAdvanced      => JSON::PP::false,
			isDisabled        => JSON::PP::false,
			customDisplayName => "Step $i" };
		$positions{"op-$i"} = { x => 200 * $i, y => 80 * $self->_random(10) };
		push @links,
		  { linkID => "link-$i",
			source =>
			  { operatorID => 'op-' . ($i % 7 ? $i - 1 : int $i / 2), portID => 'output-0' },
			target => { operatorID => "op-$i", portID => 'input-0' } }
		  if $i;
	}
	return $JSON->encode({
		operators         => \@operators,
		operatorPositions => \%positions,
		links             => \@links,
		commentBoxes      => [],
		settings          => { dataTransferBatchSize => 400 } });
}

sub _new_line ($self, $i)
{
	return sprintf "edited_%d = compute(%d, scale=0.%03d)  # edit\n", $i, $i * 17, abs($i) % 1_000;
}

# A copy of the cell changes, so that reset() and other edits see the original
# lines but for those edited in the text itself.
sub _replace_line ($self, $position, $line, $value)
{
	my $cell = $JSON->decode($self->{text}[$position]);

	$cell->{source}[$line]   = $value;
	$self->{text}[$position] = $JSON->encode($cell);
	return $self;
}

# 0 … $n - 1, from a linear congruential generator.
sub _random ($self, $n)
{
	$self->{state} = ($self->{state} * 1_664_525 + 1_013_904_223) & 0xffffffff;
	return int $self->{state} / 4_294_967_296 * $n;
}

sub _word ($self)
{
	my @syllables = qw(ba co de fi ga hu jo ka lem mor nu pas qui ron sta tur val wex yo zin);

	return join '',
	  map { $syllables[ $self->_random(scalar @syllables) ] } 0 .. 1 + $self->_random(3);
}

sub _hex ($self, $digits)
{
	return join '', map { sprintf '%x', $self->_random(16) } 1 .. $digits;
}

# Lines of about $bytes in all, as nbformat keeps them: all but the last end in
# a newline.  At least two.
sub _lines ($self, $bytes, @patterns)
{
	my %fill = (
		w => sub { $self->{words}[ $self->_random(600) ] },
		n => sub { $self->_random(1_000) },
		f => sub { sprintf '%.4f', $self->_random(1_000_000) / 100_000 });
	my (@lines, $size);

	while (@lines < 2 || $size < $bytes)
	{
		my $line = $patterns[ $self->_random(scalar @patterns) ] =~ s/%([wnf])/$fill{$1}->()/ger;
		push @lines, "$line\n";
		$size += length $line;
	}
	chomp $lines[-1];
	return @lines;
}

sub _cell ($self, $position)
{
	my $code = $position * 37 % 100 < 65;
	my $size = $self->{small} ? $self->{source} // 200 : 300 + $self->_random(2_700);
	my $uuid = join '-', map { $self->_hex($_) } 8, 4, 4, 4, 12;

	return {
		id       => $self->_hex(8),
		metadata => { uuid => $uuid },
		source   => [ $self->_lines($size, $code ? @CODE : @PROSE) ],
		$code
		? (cell_type => 'code', execution_count => $position + 1, outputs => [])
		: (cell_type => 'markdown') };
}

# Outputs for the code cells until the document has its size.
sub _fill_outputs ($self)
{
	my @code   = grep { $_->{cell_type} eq 'code' } $self->{cell}->@*;
	my $size   = sum0(map { length $JSON->encode($_) } $self->{cell}->@*);
	my $images = int @code / 3;

	for (my $i = 0; $size < $TEXT_BYTES; $i++)
	{
		my $cell   = $code[ $i % @code ];
		my $output = $self->_text_output($cell, 200 + $self->_random($i % 3 ? 3_000 : 12_000));
		push $cell->{outputs}->@*, $output;
		$size += length $JSON->encode($output);
	}
	push $code[ 3 * $_ ]{outputs}->@*,
	  $self->_image($IMAGE_BYTES / $images * (0.4 + 1.2 * $_ / ($images - 1)))
	  for 0 .. $images - 1;
}

# A stream, a data frame as HTML and text, or a plain result, by turns of chance.
sub _text_output ($self, $cell, $bytes)
{
	my $kind  = $self->_random(3);
	my @print = $self->_lines(
		$bytes,
		'epoch %n/1000 - loss: %f - acc: %f - %w',
		'%w %w %f %f %n',
		'[%n] %w: %w %w (%f s)');

	return { output_type => 'stream', name => 'stdout', text => \@print } if $kind == 0;
	return {
		output_type     => 'execute_result',
		execution_count => $cell->{execution_count},
		metadata        => {},
		data            => { 'text/plain' => \@print } }
	  if $kind == 1;
	return {
		output_type     => 'execute_result',
		execution_count => $cell->{execution_count},
		metadata        => {},
		data            => {
			'text/html' => [
				"<table border=\"1\" class=\"dataframe\">\n",
				$self->_lines(
					$bytes * 0.7,
					'    <tr><th>%n</th>',
					'      <td>%f</td>',
					'      <td>%w</td>'),
				'</table>' ],
			'text/plain' => [ $self->_lines($bytes * 0.3, '%n  %w  %f  %f  %f') ] } };
}

# An image output of about $bytes of base64, in lines of 76 as Jupyter writes it.
sub _image ($self, $bytes)
{
	my $raw = "\x89PNG\r\n\x1a\n" . join '',
	  map { substr pack('N', $self->_random(4_294_967_296)), 0, 3 } 1 .. $bytes / 4.06;

	return {
		output_type => 'display_data',
		metadata    => { needs_background => 'light' },
		data        => {
			'image/png'  => encode_base64($raw . 'x' x $self->_random(3)),
			'text/plain' => ['<Figure size 640x480 with 1 Axes>'] } };
}

1;

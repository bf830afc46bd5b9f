{{/* Values, judged by files/values.schema.json, in sentences. Helm's own words for what a schema refuses name
a place and a regular expression; these name the value and an example that can be copied. */}}

{{/* The kind of a value, in the words of a schema. */}}
{{- define "prbuild.kind" -}}
{{- if kindIs "invalid" . }}null
{{- else if kindIs "bool" . }}boolean
{{- else if kindIs "string" . }}string
{{- else if kindIs "slice" . }}array
{{- else if kindIs "map" . }}object
{{- else if eq (float64 .) (floor .) }}integer
{{- else }}number
{{- end }}
{{- end -}}

{{/* A value as people wrote it, of which the beginning is enough. */}}
{{- define "prbuild.shown" -}}
`{{ kindIs "string" . | ternary . (toJson .) | toString | trunc 60 }}`
{{- end -}}

{{/* A schema, and what it refers to: (dict "schema" "root"), as JSON. */}}
{{- define "prbuild.meant" -}}
{{- $schema := .schema -}}
{{- with index $schema "$ref" -}}
  {{- $schema = merge (omit $schema "$ref") (index $.root "$defs" (trimPrefix "#/$defs/" .)) -}}
{{- end -}}
{{- toJson $schema -}}
{{- end -}}

{{/* What a schema takes, by its type and bounds. */}}
{{- define "prbuild.taken" -}}
{{- $types := without (kindIs "string" .type | ternary (list .type) .type) "null" -}}
{{- if has "boolean" $types }}neither true nor false
{{- else if has "array" $types }}no list
{{- else if has "object" $types }}no mapping of names to values
{{- else if has "integer" $types }}no whole number
{{- if and .minimum .maximum }} from {{ int64 .minimum }} to {{ int64 .maximum }}{{ else if .minimum }} from {{ int64 .minimum }} up{{ end }}
{{- else if has "number" $types }}no number and no text
{{- else }}no text
{{- end }}
{{- end -}}

{{/* How a value is given, as words for a shell: (dict "path" "schema"). What has no example of its own has that
of something below it. */}}
{{- define "prbuild.example" -}}
{{- $schema := .schema -}}
{{- if index $schema "x-set" -}}
  {{- $set := index $schema "x-set" -}}
  --set {{ contains "{" $set | ternary (printf "'%s'" $set) $set }}
{{- else if $schema.examples -}}
  {{- $example := first $schema.examples -}}
  {{- $kind := include "prbuild.kind" $example -}}
  {{- if eq $kind "string" -}}
    --set{{ regexMatch "^[0-9.]+$" $example | ternary "-string" "" }} {{ .path }}={{ $example }}
  {{- else if has $kind (list "array" "object") -}}
    --set-json '{{ .path }}={{ toJson $example }}'
  {{- else -}}
    --set {{ .path }}={{ toJson $example }}
  {{- end -}}
{{- else if $schema.properties -}}
  {{- $name := keys $schema.properties | sortAlpha | first -}}
  {{- include "prbuild.example" (dict "path" (printf "%s.%s" .path $name) "schema" (index $schema.properties $name)) -}}
{{- end -}}
{{- end -}}

{{/* Paths of all values that bear a name, a line each: (dict "name" "path" "schema"). */}}
{{- define "prbuild.named" -}}
{{- $all := . -}}
{{- range $name, $schema := .schema.properties -}}
  {{- $path := printf "%s.%s" $all.path $name | trimPrefix "." -}}
  {{- if eq (lower $name) (lower $all.name) }}{{ $path }}{{ "\n" }}{{ end -}}
  {{- include "prbuild.named" (dict "name" $all.name "path" $path "schema" $schema) -}}
{{- end -}}
{{- end -}}

{{/* What to say of a name that there is not: (dict "name" "path" "schema" "root" "example"), with the mapping's own path and
example. */}}
{{- define "prbuild.unknown" -}}
{{- $all := . -}}
{{- $similar := list -}}
{{- range $name, $ := .schema.properties -}}
  {{- if eq (lower $name | trunc 3) (lower $all.name | trunc 3) -}}
    {{- $similar = append $similar (printf "%s.%s" $all.path $name | trimPrefix ".") -}}
  {{- end -}}
{{- end -}}
{{- $named := include "prbuild.named" (dict "name" .name "path" "" "schema" .root) | trim -}}
{{- if $named }}{{ $similar = concat $similar (splitList "\n" $named) | uniq }}{{ end -}}
{{- $there := list -}}
{{- range $name, $ := .schema.properties }}{{ $there = append $there (printf "%s.%s" $all.path $name | trimPrefix ".") }}{{ end -}}
{{- $shown := $similar | default ($there | sortAlpha) -}}
{{- $example := .example -}}
{{- /* What lies in a list has the example of the list. */}}
{{- if not (contains "[" .path) -}}
  {{- $first := and (empty $similar) (has "host" $shown) | ternary "host" (first $shown) -}}
  {{- $schema := .root -}}
  {{- range splitList "." $first }}{{ $schema = include "prbuild.meant" (dict "schema" (index $schema.properties .) "root" $all.root) | fromJson }}{{ end -}}
  {{- $example = include "prbuild.example" (dict "path" $first "schema" $schema) | default .example -}}
{{- end -}}
there is no such value. {{ $similar | empty | ternary "There are" "Is it" }} `{{ join "`, `" $shown }}`{{ $similar | empty | ternary "." "?" }} For example: {{ $example }}
{{- end -}}

{{/* What is wrong with a value and with those below it, a line each:
(dict "path" "value" "schema" "root" "example" "needed"). */}}
{{- define "prbuild.wrong" -}}
{{- $all := . -}}{{- $schema := .schema -}}{{- $value := .value -}}
{{- if index $schema "$ref" }}{{ $schema = include "prbuild.meant" . | fromJson }}{{ end -}}
{{- $kind := include "prbuild.kind" $value -}}
{{- $types := kindIs "string" $schema.type | ternary (list $schema.type) ($schema.type | default list) -}}
{{- $fits := or (empty $types) (has $kind $types) (and (eq $kind "integer") (has "number" $types)) -}}
{{- $says := "" -}}
{{- if and (eq $kind "null") $fits (not .needed) -}}
{{- else if and (eq $kind "null") .needed -}}
  {{- $says = "it is needed." -}}
{{- else if eq $kind "null" -}}
  {{- $says = "it is needed. Null takes it away, and so does --reuse-values after an older chart: there use --reset-then-reuse-values." -}}
{{- else if $schema.enum -}}
  {{- if not (has $value $schema.enum) }}{{ $says = printf "%s is none of `%s`." (include "prbuild.shown" $value) (join "`, `" $schema.enum) }}{{ end -}}
{{- else if not $fits -}}
  {{- $bare := and (has "string" $types) (has $kind (list "boolean" "integer" "number")) | ternary " without quotes" "" -}}
  {{- $quoted := and (eq $kind "string") (regexMatch "^([0-9]+|true|false)$" (toString $value)) | ternary " in quotes" "" -}}
  {{- $says = printf "%s%s is %s%s." (include "prbuild.shown" $value) $quoted (include "prbuild.taken" $schema) $bare -}}
{{- else if eq $kind "string" -}}
  {{- if and $schema.pattern (not (regexMatch $schema.pattern $value)) }}{{ $says = printf "%s is %s." (include "prbuild.shown" $value) $schema.patternErrorMessage }}
  {{- else if and $schema.maxLength (gt (len $value) (int $schema.maxLength)) }}{{ $says = printf "%s is too long: at most %d characters." (include "prbuild.shown" $value) (int $schema.maxLength) }}{{ end -}}
{{- else if has $kind (list "integer" "number") -}}
  {{- if or (and $schema.minimum (lt (float64 $value) $schema.minimum)) (and $schema.maximum (gt (float64 $value) $schema.maximum)) -}}
    {{- $says = printf "%s is %s." (include "prbuild.shown" $value) (include "prbuild.taken" $schema) -}}
  {{- end -}}
{{- else if eq $kind "array" -}}
  {{- if and $schema.maxItems (gt (len $value) (int $schema.maxItems)) }}{{ $says = printf "%d are too many: at most %d." (len $value) (int $schema.maxItems) }}
  {{- else if and $schema.minItems (lt (len $value) (int $schema.minItems)) }}{{ $says = "it is empty." }}
  {{- else if and $schema.uniqueItems (ne (len $value) (uniq $value | len)) }}{{ $says = printf "%s names one twice." (include "prbuild.shown" $value) }}{{ end -}}
{{- end -}}
{{- $example := .example | default (include "prbuild.example" (dict "path" .path "schema" $schema)) -}}
{{- if $says -}}
  {{- printf "%s: %s For example: %s\n" .path $says $example -}}
{{- else if eq $kind "array" -}}
  {{- range $at, $item := $value -}}
    {{- include "prbuild.wrong" (dict "path" (printf "%s[%d]" $all.path $at) "value" $item "schema" ($schema.items | default dict) "root" $all.root "example" $example) -}}
  {{- end -}}
{{- else if eq $kind "object" -}}
  {{- $below := include "prbuild.wrongBelow" (merge (dict "example" $example "schema" $schema) .) -}}
  {{- $rule := index $schema "x-is" -}}
  {{- if and $rule (not $below) -}}
    {{- $below = include (printf "prbuild.%s" $rule) (dict "path" .path "value" $value "example" $example) -}}
  {{- end -}}
  {{- $below -}}
{{- end -}}
{{- end -}}

{{/* What is wrong below a mapping, of the same. */}}
{{- define "prbuild.wrongBelow" -}}
{{- $all := . -}}{{- $schema := .schema -}}
{{- $known := $schema.properties | default dict -}}
{{- range $name, $below := $known -}}
  {{- /* What lies in a list, or is referred to, has the example of what it lies in. */}}
  {{- $own := and (not (contains "[" $all.path)) (or $below.examples (index $below "x-set") $below.properties) -}}
  {{- include "prbuild.wrong" (dict "path" (printf "%s.%s" $all.path $name | trimPrefix ".") "value" (index $all.value $name) "schema" $below "root" $all.root "example" ($own | empty | ternary $all.example "") "needed" (has $name ($schema.required | default list))) -}}
{{- end -}}
{{- range $name, $value := .value -}}
  {{- if not (hasKey $known $name) -}}
    {{- $path := printf "%s.%s" $all.path $name | trimPrefix "." -}}
    {{- $names := $schema.propertyNames | default dict -}}
    {{- if eq "false" (toString $schema.additionalProperties) -}}
      {{- printf "%s: %s\n" $path (include "prbuild.unknown" (dict "name" $name "path" $all.path "schema" $schema "root" $all.root "example" $all.example)) -}}
    {{- else if and $names.pattern (not (regexMatch $names.pattern $name)) -}}
      {{- printf "%s: `%s` is %s. For example: %s\n" $path $name $names.patternErrorMessage $all.example -}}
    {{- else if and $names.not (eq $name $names.not.const) -}}
      {{- printf "%s: the name `%s` is PrBuild's own. For example: %s\n" $path $name $all.example -}}
    {{- else if kindIs "map" $schema.additionalProperties -}}
      {{- include "prbuild.wrong" (dict "path" $path "value" $value "schema" $schema.additionalProperties "root" $all.root "example" $all.example) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* A quantity of Kubernetes as a plain number. */}}
{{- define "prbuild.amount" -}}
{{- $units := dict "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 -}}
{{- $unit := regexFind "[A-Za-z]+$" (toString .) -}}
{{- $number := trimSuffix $unit (toString .) | float64 -}}
{{- $unit | empty | ternary $number (mulf $number (index $units $unit | default 1)) -}}
{{- end -}}

{{/* Which requests are above their limits, a line each: (dict "path" "requests" "limits"), with the path of the
requests, and "of", that of the limits. */}}
{{- define "prbuild.above" -}}
{{- $all := . -}}
{{- range $name, $asked := .requests -}}
  {{- $most := index ($all.limits | default dict) $name -}}
  {{- if not (or (kindIs "invalid" $asked) (kindIs "invalid" $most)) -}}
    {{- if gt (include "prbuild.amount" $asked | float64) (include "prbuild.amount" $most | float64) -}}
      {{- printf "%s.%s: %s is more than %s, the limit by %s. For example: --set-json '%s=%s'\n" $all.path $name (include "prbuild.shown" $asked) (include "prbuild.shown" $most) $all.of $all.path (dict $name $most | toJson) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* The release that an object of the cluster is of: its name, and where. Nothing where it is of none. */}}
{{- define "prbuild.owner" -}}
{{- with dig "metadata" "annotations" "meta.helm.sh/release-name" "" . -}}
  {{ . }} in {{ dig "metadata" "annotations" "meta.helm.sh/release-namespace" "" $ }}
{{- end -}}
{{- end -}}

{{/* Ends it with lines that say why. `helm lint` only notes what `fail` says and goes on: a template that there
is not stops it, too, and is called what is wrong. */}}
{{- define "prbuild.refuse" -}}
{{- fail (printf "\n\n%s\n" (trim .)) -}}
{{- include (trim .) . -}}
{{- end -}}

{{/* What a schema does not say of a mapping: which of its values go together. Each is named by `x-is` in
files/values.schema.json, gets a mapping whose values are right one by one, and says what the API server would
refuse: (dict "path" "value" "example"). */}}

{{/* Such a sentence: (list all name says), of the value that is to be changed. */}}
{{- define "prbuild.says" -}}
{{- $all := index . 0 -}}
{{- printf "%s.%s: %s For example: %s\n" $all.path (index . 1) (index . 2) $all.example | replace ".: " ": " -}}
{{- end -}}

{{/* One of a selector's `matchExpressions`. */}}
{{- define "prbuild.requirement" -}}
{{- $operator := .value.operator -}}{{- $values := .value.values | default list -}}
{{- if and (has $operator (list "In" "NotIn")) (not $values) -}}
  {{- include "prbuild.says" (list . "values" (printf "the operator `%s` needs at least one." $operator)) -}}
{{- else if and (has $operator (list "Exists" "DoesNotExist")) $values -}}
  {{- include "prbuild.says" (list . "values" (printf "the operator `%s` takes none." $operator)) -}}
{{- else if has $operator (list "Gt" "Lt") -}}
  {{- if not (and (eq (len $values) 1) (regexMatch "^[0-9]+$" (first $values | default ""))) -}}
    {{- include "prbuild.says" (list . "values" (printf "the operator `%s` needs one whole number, in quotes." $operator)) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* A taint that pods tolerate. */}}
{{- define "prbuild.toleration" -}}
{{- $operator := .value.operator | default "Equal" -}}
{{- if and (not .value.key) (ne $operator "Exists") -}}
  {{- include "prbuild.says" (list . "key" "it is needed, but for the operator `Exists`.") -}}
{{- end -}}
{{- if and .value.value (eq $operator "Exists") -}}
  {{- include "prbuild.says" (list . "value" "the operator `Exists` takes none.") -}}
{{- end -}}
{{- if and (not (kindIs "invalid" .value.tolerationSeconds)) (ne (.value.effect | default "") "NoExecute") -}}
  {{- include "prbuild.says" (list . "tolerationSeconds" "it is for the effect `NoExecute` alone.") -}}
{{- end -}}
{{- end -}}

{{/* Pods beside which others go, or do not. */}}
{{- define "prbuild.pods" -}}
{{- $all := . -}}
{{- range $name := list "matchLabelKeys" "mismatchLabelKeys" -}}
  {{- if and (index $all.value $name) (kindIs "invalid" $all.value.labelSelector) -}}
    {{- include "prbuild.says" (list $all $name "it goes with a labelSelector.") -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* A peer of a NetworkPolicy. */}}
{{- define "prbuild.peer" -}}
{{- $selects := not (and (kindIs "invalid" .value.namespaceSelector) (kindIs "invalid" .value.podSelector)) -}}
{{- $range := not (kindIs "invalid" .value.ipBlock) -}}
{{- if and $selects $range -}}
  {{- include "prbuild.says" (list . "ipBlock" "a peer is a range of addresses, or pods by their labels. Make two of it.") -}}
{{- else if not (or $selects $range) -}}
  {{- include "prbuild.says" (list . "" "it names nobody: give it namespaceSelector, podSelector or ipBlock.") -}}
{{- end -}}
{{- end -}}

{{/* A range of addresses with others in it that are left out. */}}
{{- define "prbuild.ipBlock" -}}
{{- $all := . -}}
{{- $most := include "prbuild.bits" .value.cidr -}}
{{- range $at, $except := .value.except -}}
  {{- $bits := include "prbuild.bits" $except -}}
  {{- if not (and (hasPrefix $most $bits) (ne $most $bits)) -}}
    {{- include "prbuild.says" (list $all (printf "except[%d]" $at) (printf "%s is no part of %s." (include "prbuild.shown" $except) (include "prbuild.shown" $all.value.cidr))) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* The bits that all addresses of a range have in common, behind the number of its kind. */}}
{{- define "prbuild.bits" -}}
{{- $parts := splitList "/" . -}}
{{- $address := first $parts -}}
{{- $tail := regexFind "[0-9]+[.].*$" $address -}}
{{- $bits := "" -}}
{{- range $tail | empty | ternary list (splitList "." $tail) }}{{ $bits = printf "%s%08b" $bits (int64 .) }}{{ end -}}
{{- if contains ":" $address -}}
  {{- /* Groups before and behind `::`, and as many zeros between them as are missing. */}}
  {{- $sides := trimSuffix $tail $address | splitList "::" -}}
  {{- $before := first $sides | trimAll ":" | splitList ":" | compact -}}
  {{- $behind := last $sides | trimAll ":" | splitList ":" | compact -}}
  {{- if eq (len $sides) 1 }}{{ $behind = list }}{{ end -}}
  {{- $missing := sub 8 (add (len $before) (len $behind) (div (len $bits) 16)) | int -}}
  {{- $tailBits := $bits -}}{{- $bits = "" -}}
  {{- range $before }}{{ $bits = printf "%s%016b" $bits (printf "0x%s" . | int64) }}{{ end -}}
  {{- $bits = print $bits (repeat (mul 16 $missing | int) "0") -}}
  {{- range $behind }}{{ $bits = printf "%s%016b" $bits (printf "0x%s" . | int64) }}{{ end -}}
  {{- $bits = print $bits $tailBits -}}
{{- end -}}
{{ contains ":" $address | ternary "6" "4" }}{{ trunc (last $parts | int) $bits }}
{{- end -}}

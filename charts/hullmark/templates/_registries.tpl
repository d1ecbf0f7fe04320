{{/* How registries are reached: the same for replicas and for the CronJob that scans. */}}
{{- define "hullmark.registryArgs" -}}
{{- if .Values.registries.hosts }}
- --hosts-dir=/registries
{{- end }}
{{- with .Values.registries.allow }}
- --allow-registry={{ join "," . }}
{{- end }}
{{- with .Values.registries.deny }}
- --deny-registry={{ join "," . }}
{{- end }}
{{- with .Values.registries.allowAddresses }}
- --allow-address={{ join "," . }}
{{- end }}
{{- with .Values.registries.refuseAddresses }}
- --refuse-address={{ join "," . }}
{{- end }}
{{- with .Values.registries.credentialProviders }}
{{- if .config }}
- --image-credential-provider-config=/credential-providers/config.yaml
- --image-credential-provider-bin-dir=/credential-provider-bin{{ with .folder }}/{{ trimPrefix "/" . }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "hullmark.registryEnv" -}}
{{- with .Values.registries.proxy }}
{{- range $variable, $value := dict "HTTPS_PROXY" .https "HTTP_PROXY" .http "NO_PROXY" .noProxy }}
{{- if $value }}
- { name: {{ $variable }}, value: {{ $value | quote }} }
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "hullmark.registryMounts" -}}
{{- if .Values.registries.hosts }}
- { name: registries, mountPath: /registries, readOnly: true }
{{- end }}
{{- range .Values.registries.secrets }}
- { name: registry-secret-{{ . }}, mountPath: /registry-secrets/{{ . }}, readOnly: true }
{{- end }}
{{- if .Values.registries.credentialProviders.config }}
- { name: credential-providers, mountPath: /credential-providers, readOnly: true }
- { name: credential-provider-bin, mountPath: /credential-provider-bin, readOnly: true }
{{- end }}
{{- end }}

{{- define "hullmark.registryVolumes" -}}
{{- if .Values.registries.hosts }}
- name: registries
  configMap:
    name: {{ include "hullmark.fullname" . }}-registries
    # Keys cannot hold every character of a host; the folder is named after it.
    items:
      {{- range $index, $host := keys .Values.registries.hosts | sortAlpha }}
      - { key: hosts-{{ $index }}.toml, path: {{ printf "%s/hosts.toml" $host | quote }} }
      {{- end }}
{{- end }}
{{- range .Values.registries.secrets }}
- name: registry-secret-{{ . }}
  secret: { secretName: {{ . }} }
{{- end }}
{{- if .Values.registries.credentialProviders.config }}
- name: credential-providers
  configMap:
    name: {{ include "hullmark.fullname" . }}-registries
    items: [{ key: credential-providers.yaml, path: config.yaml }]
- name: credential-provider-bin
  {{- toYaml .Values.registries.credentialProviders.volume | nindent 2 }}
{{- end }}
{{- end }}
